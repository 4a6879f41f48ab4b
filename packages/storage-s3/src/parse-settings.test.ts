import { readFile } from 'node:fs/promises';
import { createSettingsScope, isStorageError, parseStorageUrl } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { resolveConfig } from './config.ts';
import { parseSettings } from './parse-settings.ts';
import { refusedSettings, settings } from './settings.ts';

const parse = (url: string, env: Record<string, string> = {}, role: 'storage' | 'snapshot' = 'storage') =>
  parseSettings(parseStorageUrl(url), createSettingsScope({ role, env }), 'write');
const configOf = (url: string, env: Record<string, string> = {}) => resolveConfig(parse(url, env));
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return isStorageError(error) ? `${error.code}: ${error.message}` : String(error);
  }
  return 'no error';
};

test('Every option of the URL has its place', () => {
  const config = configOf(
    's3://bucket/a/b?endpoint=https://minio.example:9000&region=r&path_style=false&dual_stack=1&part_size=16MiB' +
      '&concurrency=8&checksum=crc32c&sign_payload=true&conditional_put=no&storage_class=GLACIER_IR&sse=aws:kms' +
      '&sse_kms_id=key&max_retries=3&connect_timeout_ms=5000&idle_timeout_ms=9000',
  );
  expect(config).toMatchObject({
    bucket: 'bucket',
    keyPrefix: 'a/b/',
    url: 's3://bucket/a/b',
    endpoint: 'https://minio.example:9000',
    pathStyle: false,
    dualStack: true,
    partSizeBytes: 16 * 2 ** 20,
    concurrency: 8,
    checksum: 'crc32c',
    signPayload: true,
    conditionalPut: false,
    storageClass: 'GLACIER_IR',
    encryption: { kind: 'aws:kms', keyId: 'key' },
    retriesMax: 3,
    connectTimeoutMs: 5000,
    idleTimeoutMs: 9000,
  });
});

test("A WAL-G environment works as it is, and the role's own names win", () => {
  const env = {
    AWS_ENDPOINT: 'minio.example:9000',
    AWS_REGION: 'eu-west-1',
    AWS_S3_FORCE_PATH_STYLE: 'true',
    AWS_ACCESS_KEY: 'A',
    AWS_SECRET_KEY: 'S',
    WALG_S3_STORAGE_CLASS: 'STANDARD_IA',
    WALG_S3_SSE: 'AES256',
    WALG_S3_MAX_PART_SIZE: '20971520',
    WALG_UPLOAD_CONCURRENCY: '16',
    WALG_S3_CA_CERT_FILE: '/ca.pem',
    AWS_CA_BUNDLE: '/bundle.pem',
    S3_MAX_RETRIES: '15',
    S3_RETENTION_PERIOD: '-1',
    NEON_STORAGE_AWS_REGION: 'eu-central-1',
  };
  expect(parse('s3://bucket', env)).toMatchObject({
    endpoint: 'minio.example:9000',
    region: 'eu-central-1',
    pathStyle: true,
    credentials: { accessKeyId: 'A', secretAccessKey: 'S' },
    storageClass: 'STANDARD_IA',
    encryption: { kind: 'AES256' },
    partSizeBytes: 20 * 2 ** 20,
    concurrency: 16,
    caFile: '/ca.pem',
    retriesMax: 15,
  });
  expect(parse('s3://bucket', env, 'snapshot').region).toBe('eu-west-1');
  expect(parse('s3://bucket?region=x', env).region).toBe('x');
  expect(configOf('s3://bucket', env).endpoint).toBe('https://minio.example:9000');
});

test('Defaults follow the endpoint: AWS, another https server, plain http, a known provider', () => {
  const facts = (url: string) => {
    const { pathStyle, signPayload, conditionalPut, concurrency } = configOf(url);
    return { pathStyle, signPayload, conditionalPut, concurrency };
  };
  const aws = { pathStyle: false, signPayload: false, conditionalPut: true, concurrency: 4 };
  expect(facts('s3://bucket')).toEqual(aws);
  expect(facts('s3://bucket?endpoint=https://s3.example')).toEqual({ ...aws, pathStyle: true });
  expect(facts('s3://bucket?endpoint=http://s3.example')).toEqual({
    ...aws,
    pathStyle: true,
    signPayload: true,
  });
  expect(facts('s3://bucket?endpoint=https://x.r2.cloudflarestorage.com')).toEqual({
    ...aws,
    pathStyle: true,
    signPayload: true,
    concurrency: 2,
  });
  expect(facts('s3://bucket?endpoint=https://fra1.digitaloceanspaces.com').pathStyle).toBe(false);
  expect(
    facts('s3://bucket?endpoint=https://storage.googleapis.com&conditional_put=true').conditionalPut,
  ).toBe(true);
});

test.each([
  [
    's3://bucket?regoin=x',
    {},
    'STORAGE_INVALID_OPTION: s3:// takes no option "regoin" in its URL; did you mean "region"?',
  ],
  [
    's3://bucket?path_style=maybe',
    {},
    'STORAGE_INVALID_OPTION: AWS_S3_FORCE_PATH_STYLE (path_style in the URL) is "maybe"',
  ],
  ['s3://bucket?checksum=md5', {}, 'expected none, crc32, crc32c'],
  ['s3://bucket?part_size=1MiB', {}, 'expected 5242880 to 536870912'],
  ['s3://bucket?part_size=lots', {}, 'expected bytes, or a number with KiB, MiB or GiB'],
  ['s3://bucket?concurrency=0', {}, 'expected 1 to 64'],
  ['s3://bucket?max_retries=-1', {}, 'expected a whole number'],
  ['s3://bucket?endpoint=ftp://x', {}, 'is not an http:// or https:// URL'],
  ['s3://bucket?endpoint=https://x/bucket', {}, 'has a path'],
  ['s3://bucket?endpoint=http://x&sign_payload=false', {}, 'over http would leave the bodies unprotected'],
  ['s3://bucket?sse_kms_id=k', {}, 'is not aws:kms'],
  ['s3://bucket', { S3_SSE_C: 'short' }, 'must hold 32 bytes'],
  ['s3://bucket', { S3_SSE_C: 'x'.repeat(32), S3_SSE: 'AES256' }, 'exclude each other'],
  ['s3://bucket?endpoint=http://x', { S3_SSE_C: 'x'.repeat(32) }, 'use https'],
  [
    's3://bucket',
    { WALG_CSE_KMS_ID: 'arn' },
    'STORAGE_UNSUPPORTED: CSE_KMS_ID is set: client-side encryption',
  ],
  ['s3://bucket', { S3_RETENTION_PERIOD: '3600' }, 'STORAGE_UNSUPPORTED: S3_RETENTION_PERIOD is set'],
])('%s with %o is refused with the reason', (url, env, says) => {
  expect(codeOf(() => configOf(url, env))).toContain(says);
});

test('The README documents every setting and URL option, and no other option', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const rows = readme.split('\n').filter((line) => line.startsWith('|'));
  const inRows = (name: string) => rows.some((row) => row.includes(`\`${name}\``));
  const missing = settings
    .flatMap(({ name, urlOption, aliases = [] }) => [
      name,
      ...aliases,
      ...(urlOption === undefined ? [] : [urlOption]),
    ])
    .concat(refusedSettings.map(({ name }) => name))
    .filter((name) => !inRows(name));
  expect(missing).toEqual([]);
  const documented = rows.flatMap((row) => /^\| `([a-z_]+)`/.exec(row)?.[1] ?? []);
  const known = settings.flatMap(({ urlOption }) => urlOption ?? []);
  expect(documented.filter((name) => !known.includes(name))).toEqual([]);
});
