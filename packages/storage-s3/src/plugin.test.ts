import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPluginRegistry } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { plugin } from './plugin.ts';

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

test('The registry takes the plugin for s3 URLs', async () => {
  const registry = createPluginRegistry();
  registry.register({
    kind: 'storage',
    names: ['s3'],
    packageName: '@neon-snapshot/storage-s3',
    load: async () => plugin,
  });
  expect(await registry.load('storage', 's3')).toBe(plugin);
});
