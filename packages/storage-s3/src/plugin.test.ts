import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startS3TestServer } from '@neon-snapshot/s3-test-server';
import { createPluginRegistry, openStorage } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { failureOf } from './testing/with-server.ts';

test('Importing the package loads no SDK', async () => {
  const script = `
    import { createRequire } from 'node:module';
    await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(loaded.filter((path) => /aws-sdk|smithy/.test(path)).length);`;
  const run = promisify(execFile);
  const args = ['--conditions=@neon-snapshot/source', '--input-type=module', '--eval', script];
  const { stdout } = await run(process.execPath, args, { cwd: fileURLToPath(new URL('.', import.meta.url)) });
  expect(stdout.trim()).toBe('0');
});

test('A URL opened through the registry is retried by the backend alone', async () => {
  const registry = createPluginRegistry();
  registry.register({
    kind: 'storage',
    names: ['s3'],
    packageName: '@neon-snapshot/storage-s3',
    load: async () => plugin,
  });
  await using server = await startS3TestServer({ buckets: ['bucket'] });
  const env = { AWS_ACCESS_KEY_ID: 'TESTKEY', AWS_SECRET_ACCESS_KEY: 'TESTSECRET' };
  const url = `s3://bucket/a?endpoint=${server.endpoint}&max_retries=1`;
  await using storage = await openStorage(registry, url, { role: 'storage', access: 'write', env });
  await storage.put('key', new Uint8Array(1));
  expect(server.keys('bucket')).toEqual(['a/key']);
  const failing = { kind: 'error', status: 500, code: 'InternalError' } as const;
  server.inject({ operation: 'HeadObject', times: 9, effect: failing });
  expect(await failureOf(storage.head('key'))).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  expect(server.log.count('HeadObject')).toBe(2);
});
