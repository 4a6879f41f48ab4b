import { StorageError } from '@neon-snapshot/storage-core';
import type { S3Checksum, S3Encryption, S3StorageOptions } from './options.ts';
import { providerQuirks } from './provider-quirks.ts';

/** Options with everything filled in that needs no look outside. */
export interface S3Config {
  readonly bucket: string;
  /** Empty, or with a trailing `/`. */
  readonly keyPrefix: string;
  /** For messages. */
  readonly url: string;
  readonly access: 'read' | 'write';
  /** Origin of a custom endpoint; undefined for AWS. */
  readonly endpoint: string | undefined;
  readonly pathStyle: boolean;
  readonly dualStack: boolean;
  readonly partSizeBytes: number;
  readonly concurrency: number;
  readonly checksum: S3Checksum;
  readonly signPayload: boolean;
  readonly conditionalPut: boolean;
  readonly storageClass: string | undefined;
  readonly encryption: S3Encryption | undefined;
  readonly retriesMax: number;
  readonly rangeRetriesMax: number;
  readonly throttleDelayMinMs: number;
  readonly throttleDelayMaxMs: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly deleteBatchSize: number;
  readonly copySizeMaxBytes: number;
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Range and default of every number: `[minimum, maximum, default]`. */
const LIMITS = {
  // S3 takes no part below 5 MiB but the last, and a part must fit one buffer.
  partSizeBytes: [5 * MIB, 512 * MIB, 8 * MIB],
  concurrency: [1, 64, 4],
  retriesMax: [0, 100, 10],
  rangeRetriesMax: [0, 100, 10],
  throttleDelayMinMs: [1, 60_000, 500],
  throttleDelayMaxMs: [1, 600_000, 20_000],
  connectTimeoutMs: [100, 600_000, 10_000],
  idleTimeoutMs: [100, 3_600_000, 60_000],
  deleteBatchSize: [1, 1000, 1000],
  copySizeMaxBytes: [5 * MIB, 5 * GIB, 5 * GIB],
} as const satisfies Partial<Record<keyof S3StorageOptions, readonly [number, number, number]>>;

/** Fills in defaults and checks ranges. Throws `STORAGE_INVALID_OPTION`. */
export function resolveConfig(options: S3StorageOptions): S3Config {
  const endpoint = options.endpoint === undefined ? undefined : parseEndpoint(options.endpoint);
  const quirks = endpoint === undefined ? {} : providerQuirks(new URL(endpoint).hostname);
  const isHttps = endpoint?.startsWith('http://') !== true;
  const signPayload = options.signPayload ?? quirks.signPayload ?? !isHttps;
  if (!signPayload && !isHttps)
    throw invalid(
      'sign_payload=false over http would leave the bodies unprotected; use https or leave it out',
      'signPayload',
    );
  const prefix = options.prefix ?? '';
  return {
    bucket: checkBucket(options.bucket),
    keyPrefix: prefix === '' ? '' : `${prefix}/`,
    url: `s3://${options.bucket}${prefix === '' ? '' : `/${prefix}`}`,
    access: options.access ?? 'write',
    endpoint,
    pathStyle: options.pathStyle ?? quirks.pathStyle ?? endpoint !== undefined,
    dualStack: options.dualStack ?? false,
    checksum: options.checksum ?? 'none',
    signPayload,
    conditionalPut: options.conditionalPut ?? quirks.conditionalPut ?? true,
    storageClass: checkStorageClass(options.storageClass),
    encryption: checkEncryption(options.encryption, isHttps),
    ...numbersOf({ ...options, concurrency: options.concurrency ?? quirks.concurrency }),
  };
}

type LimitedNumbers = { readonly [Name in keyof typeof LIMITS]: number };

function numbersOf(options: { readonly [Name in keyof typeof LIMITS]?: number | undefined }): LimitedNumbers {
  const number = (name: keyof typeof LIMITS): number => {
    const [minimum, maximum, fallback] = LIMITS[name];
    const value = options[name] ?? fallback;
    if (!Number.isInteger(value) || value < minimum || value > maximum)
      throw invalid(`${name} is ${value}, expected ${minimum} to ${maximum}`, name);
    return value;
  };
  return {
    partSizeBytes: number('partSizeBytes'),
    concurrency: number('concurrency'),
    retriesMax: number('retriesMax'),
    rangeRetriesMax: number('rangeRetriesMax'),
    throttleDelayMinMs: number('throttleDelayMinMs'),
    throttleDelayMaxMs: number('throttleDelayMaxMs'),
    connectTimeoutMs: number('connectTimeoutMs'),
    idleTimeoutMs: number('idleTimeoutMs'),
    deleteBatchSize: number('deleteBatchSize'),
    copySizeMaxBytes: number('copySizeMaxBytes'),
  };
}

/** An endpoint as an origin. WAL-G's files may leave the scheme out; https is meant then. */
function parseEndpoint(text: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw invalid(`endpoint "${text}" is not an http:// or https:// URL`, 'endpoint');
  if (url.username !== '' || url.password !== '')
    throw invalid('endpoint holds a user name; keys come from the environment', 'endpoint');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw invalid(`endpoint "${text}" has a path; the bucket stands in s3://bucket/prefix`, 'endpoint');
  return url.origin;
}

function checkBucket(bucket: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}$/.test(bucket)) return bucket;
  throw invalid(`"${bucket}" is not a bucket name`, 'bucket');
}

function checkStorageClass(storageClass: string | undefined): string | undefined {
  if (storageClass === undefined || /^[A-Za-z0-9_-]{1,64}$/.test(storageClass)) return storageClass;
  throw invalid(`"${storageClass}" is not a storage class`, 'storageClass');
}

function checkEncryption(encryption: S3Encryption | undefined, isHttps: boolean): S3Encryption | undefined {
  if (encryption?.kind !== 'customer') return encryption;
  if (encryption.key.byteLength !== 32)
    throw invalid(`the customer's key has ${encryption.key.byteLength} bytes, expected 32`, 'encryption');
  if (!isHttps)
    throw invalid("a customer's key (SSE-C) would go over the network readable; use https", 'encryption');
  return encryption;
}

function invalid(message: string, option: string): StorageError {
  return new StorageError({
    code: 'STORAGE_INVALID_OPTION',
    operation: 'open',
    message,
    context: { option },
  });
}
