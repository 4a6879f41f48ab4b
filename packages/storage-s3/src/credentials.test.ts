import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startS3TestServer } from '@neon-snapshot/s3-test-server';
import { createSettingsScope, parseStorageUrl, type Storage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { configuredRegion, discoveredRegion } from './region.ts';
import { failureOf } from './testing/with-server.ts';

let directory: string;
let files: Record<string, string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'storage-s3-'));
  files = {
    AWS_SHARED_CREDENTIALS_FILE: join(directory, 'credentials'),
    AWS_CONFIG_FILE: join(directory, 'config'),
  };
  await writeFile(
    join(directory, 'credentials'),
    '[work]\naws_access_key_id = TESTKEY\naws_secret_access_key = TESTSECRET\n',
  );
  await writeFile(join(directory, 'config'), '[profile work]\nregion = eu-north-1\n');
});
afterAll(() => rm(directory, { recursive: true }));

const openUrl = (url: string, env: Record<string, string>): Promise<Storage> =>
  plugin.open(parseStorageUrl(url), {
    settings: createSettingsScope({ role: 'storage', env }),
    access: 'write',
  });

test('A profile of the shared files gives keys and region', async () => {
  await using server = await startS3TestServer({ buckets: ['bucket'], region: 'eu-north-1' });
  const url = `s3://bucket/prefix?endpoint=${server.endpoint}`;
  for (const [query, env] of [
    ['&profile=work', { AWS_ACCESS_KEY_ID: 'OTHER', AWS_SECRET_ACCESS_KEY: 'OTHER' }],
    ['', { AWS_PROFILE: 'work' }],
    // The role's own scope wins as a whole over keys that everybody shares.
    ['', { NEON_STORAGE_AWS_PROFILE: 'work', AWS_ACCESS_KEY_ID: 'OTHER', AWS_SECRET_ACCESS_KEY: 'OTHER' }],
  ] as const) {
    await using storage = await openUrl(url + query, { ...files, ...env });
    await storage.put('key', new Uint8Array(1));
  }
  expect(server.keys('bucket')).toEqual(['prefix/key']);
});

test('A session token goes with every request', async () => {
  await using server = await startS3TestServer({ buckets: ['bucket'], sessionToken: 'token' });
  await using storage = await openUrl(`s3://bucket?endpoint=${server.endpoint}`, {
    NEON_STORAGE_AWS_ACCESS_KEY_ID: 'TESTKEY',
    NEON_STORAGE_AWS_SECRET_ACCESS_KEY: 'TESTSECRET',
    NEON_STORAGE_AWS_SESSION_TOKEN: 'token',
  });
  await storage.put('key', new Uint8Array(1));
});

test('Half a key pair is refused, even when the other half stands in another scope', async () => {
  const error = await failureOf(
    openUrl('s3://bucket', { NEON_STORAGE_AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B' }),
  );
  expect(error).toMatchObject({ code: 'STORAGE_CREDENTIALS_MISSING', operation: 'open' });
  expect(error.message).toContain('AWS_SECRET_ACCESS_KEY is not');
});

test('A profile that does not exist is named', async () => {
  await using storage = await openUrl('s3://bucket?endpoint=http://127.0.0.1:9&profile=none', files);
  const error = await failureOf(storage.head('key'));
  expect(error).toMatchObject({ code: 'STORAGE_CREDENTIALS_MISSING', retryable: false });
  expect(error.message).toContain('profile none from the URL');
});

test('The region comes from the option, the profile, and else us-east-1 for an endpoint', async () => {
  const shared = {
    sharedConfigFile: join(directory, 'config'),
    sharedCredentialsFile: join(directory, 'credentials'),
  };
  const base = { bucket: 'bucket', ...shared };
  expect(await configuredRegion({ ...base, region: 'r', profile: 'work' })).toBe('r');
  expect(await configuredRegion({ ...base, profile: 'work', endpoint: 'http://x' })).toBe('eu-north-1');
  expect(await configuredRegion({ ...base, endpoint: 'http://x' })).toBe('us-east-1');
  expect(await configuredRegion(base)).toBeUndefined();
});

test('A region that nothing says is asked of the bucket, once', async () => {
  await using server = await startS3TestServer({ buckets: ['bucket'], region: 'ap-south-1' });
  const region = discoveredRegion('bucket', {
    endpoint: server.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' },
  });
  expect(await Promise.all([region(), region()])).toEqual(['ap-south-1', 'ap-south-1']);
  expect(await region()).toBe('ap-south-1');
  expect(server.log.count('HeadBucket')).toBe(1);
});
