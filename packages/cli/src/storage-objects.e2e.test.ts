import { randomBytes } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { startS3TestServer } from '@neon-snapshot/s3-test-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

const S3 = { env: { AWS_ACCESS_KEY_ID: 'TESTKEY', AWS_SECRET_ACCESS_KEY: 'TESTSECRET' } };
const large = randomBytes(9 * 1024 * 1024);

let workspace: Workspace;
let server: Awaited<ReturnType<typeof startS3TestServer>>;

beforeAll(async () => {
  workspace = await openWorkspace();
  server = await startS3TestServer({ buckets: ['bucket'] });
  await mkdir(workspace.path('from/deep'), { recursive: true });
  await writeFile(workspace.path('from/large'), large);
  await writeFile(workspace.path('from/deep/empty'), '');
  await writeFile(workspace.path('from/deep/odd name %2F'), 'odd');
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

function bucket(prefix: string): string {
  return `s3://bucket/${prefix}?endpoint=${server.endpoint}`;
}

describe('storage cp', () => {
  it('copies all objects from a directory to S3 and back, byte for byte', async () => {
    const there = await workspace.result(['storage', 'cp', '-r', 'from', bucket('copy')], S3);
    expect(there).toMatchObject({ command: 'storage cp', objects: 3, bytesTotal: large.length + 3 });
    await workspace.result(['storage', 'cp', '-r', bucket('copy'), 'back'], S3);
    expect(await tree(workspace.path('back'))).toEqual(await tree(workspace.path('from')));
    expect((await readFile(workspace.path('back/large'))).equals(large)).toBe(true);
    expect(await readFile(workspace.path('back/deep/odd name %2F'), 'utf8')).toBe('odd');
  });

  it('copies one object under a new name, or into a place that ends in a slash', async () => {
    await workspace.result(['storage', 'cp', 'from/large', 'one/renamed']);
    await workspace.result(['storage', 'cp', 'from/large', 'one/']);
    expect(await tree(workspace.path('one'))).toEqual(['large', 'renamed']);
  });

  it('says what is missing, and refuses a prefix that nobody asked to descend', async () => {
    for (const from of ['from/nothing', 'from/deep'])
      expect(await workspace.failure(['storage', 'cp', from, 'x'])).toMatchObject({ code: 'CLI_NO_OBJECT' });
    expect(await workspace.failure(['storage', 'cp', '-r', 'nowhere', 'x'])).toHaveProperty('code');
  });

  it('refuses links, which object stores do not have, before anything is written', async () => {
    await mkdir(workspace.path('linked'));
    await writeFile(workspace.path('linked/file'), 'x');
    await symlink('file', workspace.path('linked/link'));
    const failure = await workspace.failure(['storage', 'cp', '-r', 'linked', 'unlinked']);
    expect(failure).toMatchObject({ code: 'CLI_NO_OBJECT' });
    expect(await tree(workspace.path('unlinked')).catch(() => [])).toEqual([]);
  });
});

describe('storage rm', () => {
  it('only says what would go until told --yes', async () => {
    await workspace.result(['storage', 'cp', '-r', 'from', bucket('gone')], S3);
    const shown = await workspace.result(['storage', 'rm', '-r', bucket('gone')], S3);
    expect(shown).toMatchObject({ objects: 3, deleted: false });
    expect(await workspace.result(['storage', 'ls', '-r', bucket('gone')], S3)).toMatchObject({
      bytesTotal: large.length + 3,
    });
    await workspace.result(['storage', 'rm', bucket('gone/large'), '--yes'], S3);
    const rest = await workspace.result(['storage', 'rm', '-r', bucket('gone'), '--yes'], S3);
    expect(rest).toMatchObject({ objects: 2, deleted: true });
    expect(await workspace.result(['storage', 'ls', '-r', bucket('gone')], S3)).toMatchObject({
      objects: [],
    });
  });
});
