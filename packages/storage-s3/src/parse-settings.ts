import {
  resolveSettings,
  type SettingsScope,
  StorageError,
  type StorageLocation,
} from '@neon-snapshot/storage-core';
import type { S3Encryption, S3StorageOptions } from './options.ts';
import { refusedSettings, settings } from './settings.ts';

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const CUSTOMER_KEY_SIZE_BYTES = 32;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A location and its scope as options. Throws `STORAGE_INVALID_OPTION`, `STORAGE_INVALID_URL` or `STORAGE_UNSUPPORTED`. */
export function parseSettings(
  location: StorageLocation,
  scope: SettingsScope,
  access: 'read' | 'write',
): S3StorageOptions {
  refuseWhatWouldBeIgnored(scope);
  const values = resolveSettings({ location, scope, descriptions: settings });
  const text = (name: string) => values.get(name);
  const parsed: Record<string, unknown> = {
    endpoint: text('AWS_ENDPOINT_URL_S3'),
    region: text('AWS_REGION'),
    pathStyle: flag(values, 'AWS_S3_FORCE_PATH_STYLE'),
    dualStack: flag(values, 'AWS_DUAL_STACK'),
    sharedCredentialsFile: text('AWS_SHARED_CREDENTIALS_FILE'),
    sharedConfigFile: text('AWS_CONFIG_FILE'),
    caFile: text('S3_CA_CERT_FILE') ?? text('AWS_CA_BUNDLE'),
    partSizeBytes: size(values, 'S3_MAX_PART_SIZE'),
    concurrency: integer(values, 'UPLOAD_CONCURRENCY'),
    checksum: choice(values, 'S3_CHECKSUM', ['none', 'crc32', 'crc32c']),
    signPayload: flag(values, 'S3_SIGN_PAYLOAD'),
    conditionalPut: flag(values, 'S3_CONDITIONAL_PUT'),
    storageClass: text('S3_STORAGE_CLASS'),
    encryption: encryptionOf(values),
    retriesMax: integer(values, 'S3_MAX_RETRIES'),
    rangeRetriesMax: integer(values, 'S3_RANGE_MAX_RETRIES'),
    throttleDelayMinMs: integer(values, 'S3_MIN_THROTTLING_RETRY_DELAY'),
    throttleDelayMaxMs: integer(values, 'S3_MAX_THROTTLING_RETRY_DELAY'),
    connectTimeoutMs: integer(values, 'S3_CONNECT_TIMEOUT_MS'),
    idleTimeoutMs: integer(values, 'S3_IDLE_TIMEOUT_MS'),
    deleteBatchSize: integer(values, 'S3_DELETE_BATCH_SIZE'),
  };
  const given = Object.fromEntries(Object.entries(parsed).filter(([, value]) => value !== undefined));
  return {
    bucket: location.authority,
    prefix: location.path,
    access,
    ...given,
    ...credentialOptions(location, scope),
  };
}

/** The credential group, all from one scope. A profile in the URL is more explicit than keys in the environment. */
function credentialOptions(location: StorageLocation, scope: SettingsScope): Partial<S3StorageOptions> {
  const urlProfile = location.options.get('profile');
  if (urlProfile !== undefined) return { profile: urlProfile, credentialSource: 'the URL' };
  const names = settings
    .filter((setting) => setting.group !== undefined)
    .flatMap((setting) => [setting.name, ...(setting.aliases ?? [])]);
  const { source, values } = scope.group(names);
  const options: Mutable<Partial<S3StorageOptions>> = { credentialSource: source };
  const accessKeyId = values.AWS_ACCESS_KEY_ID ?? values.AWS_ACCESS_KEY;
  const secretAccessKey = values.AWS_SECRET_ACCESS_KEY ?? values.AWS_SECRET_KEY;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw new StorageError({
      code: 'STORAGE_CREDENTIALS_MISSING',
      operation: 'open',
      message: `${accessKeyId === undefined ? 'AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID' : 'AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY'} is not (looked up in: ${source}; a pair is never taken from two places)`,
      context: { source },
    });
  const sessionToken = values.AWS_SESSION_TOKEN;
  if (accessKeyId !== undefined && secretAccessKey !== undefined)
    options.credentials = {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    };
  const members = [
    ['profile', 'AWS_PROFILE'],
    ['roleArn', 'AWS_ROLE_ARN'],
    ['roleSessionName', 'AWS_ROLE_SESSION_NAME'],
    ['webIdentityTokenFile', 'AWS_WEB_IDENTITY_TOKEN_FILE'],
  ] as const;
  for (const [member, name] of members) {
    const value = values[name];
    if (value !== undefined) options[member] = value;
  }
  return options;
}

function encryptionOf(values: ReadonlyMap<string, string>): S3Encryption | undefined {
  const kind = choice(values, 'S3_SSE', ['AES256', 'aws:kms']);
  const keyId = values.get('S3_SSE_KMS_ID');
  const customerKey = values.get('S3_SSE_C');
  if (keyId !== undefined && kind !== 'aws:kms')
    throw invalid('S3_SSE_KMS_ID is set, but S3_SSE (sse) is not aws:kms');
  if (customerKey !== undefined) {
    if (kind !== undefined) throw invalid('S3_SSE_C and S3_SSE exclude each other');
    return { kind: 'customer', key: parseCustomerKey(customerKey) };
  }
  if (kind === 'aws:kms') return { kind, ...(keyId === undefined ? {} : { keyId }) };
  return kind === undefined ? undefined : { kind: 'AES256' };
}

/** WAL-G takes the key as text of 32 characters, others as base64. */
function parseCustomerKey(text: string): Uint8Array {
  const raw = Buffer.from(text);
  if (raw.length === CUSTOMER_KEY_SIZE_BYTES) return raw;
  const decoded = Buffer.from(text, 'base64');
  if (decoded.length === CUSTOMER_KEY_SIZE_BYTES) return decoded;
  throw invalid('S3_SSE_C must hold 32 bytes, as text or in base64');
}

function refuseWhatWouldBeIgnored(scope: SettingsScope): void {
  for (const { name, reason } of refusedSettings) {
    const value = scope.get(name);
    // WAL-G's own default of a retention period, "none", is a negative number.
    if (value === undefined || Number(value) < 0) continue;
    throw new StorageError({
      code: 'STORAGE_UNSUPPORTED',
      operation: 'open',
      message: `${name} is set: ${reason}`,
      context: { setting: name },
    });
  }
}

function flag(values: ReadonlyMap<string, string>, name: string): boolean | undefined {
  const value = values.get(name)?.toLowerCase();
  if (value === undefined) return undefined;
  if (['true', '1', 'yes', 'on'].includes(value)) return true;
  if (['false', '0', 'no', 'off'].includes(value)) return false;
  throw invalid(`${label(name)} is "${values.get(name)}", expected true or false`);
}

function integer(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw invalid(`${label(name)} is "${value}", expected a whole number`);
  return Number(value);
}

function size(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const match = /^(\d{1,12}) ?([kmg]?)(?:i?b)?$/i.exec(value);
  const unit = SIZE_UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined)
    throw invalid(`${label(name)} is "${value}", expected bytes, or a number with KiB, MiB or GiB`);
  return Number(match[1]) * unit;
}

function choice<Name extends string>(
  values: ReadonlyMap<string, string>,
  name: string,
  known: readonly Name[],
): Name | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const found = known.find((each) => each.toLowerCase() === value.toLowerCase());
  if (found === undefined) throw invalid(`${label(name)} is "${value}", expected ${known.join(', ')}`);
  return found;
}

/** A setting with its name in the URL, for messages. */
function label(name: string): string {
  const option = settings.find((setting) => setting.name === name)?.urlOption;
  return option === undefined ? name : `${name} (${option} in the URL)`;
}

function invalid(message: string): StorageError {
  return new StorageError({ code: 'STORAGE_INVALID_OPTION', operation: 'open', message });
}
