import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './testing/run-in-process.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLE';
const QUOTED_SECRET = 'a"quote\\and a backslash';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-cli-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a run of the CLI', () => {
  it('prints results on stdout and nothing on stderr', async () => {
    const result = await run(['plugins', 'list'], { currentDirectory: directory });
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toMatch(/^KIND +NAMES +PACKAGE\n/);
    expect(result.stdout).toContain('@neon-snapshot/format-neon');
  });

  it('prints one versioned JSON object with --json', async () => {
    const result = await run(['plugins', 'list', '--json'], { currentDirectory: directory });
    expect(result.json()).toEqual({
      version: 1,
      command: 'plugins list',
      plugins: [
        { kind: 'storage', names: ['file'], packageName: '@neon-snapshot/storage-fs' },
        { kind: 'storage', names: ['s3'], packageName: '@neon-snapshot/storage-s3' },
        { kind: 'format', names: ['pgdata'], packageName: '@neon-snapshot/format-pgdata' },
        { kind: 'format', names: ['basebackup'], packageName: '@neon-snapshot/format-basebackup' },
        { kind: 'format', names: ['neon'], packageName: '@neon-snapshot/format-neon' },
      ],
    });
  });

  it('prints nothing with --quiet where all is well', async () => {
    const result = await run(['plugins', 'list', '--quiet'], { currentDirectory: directory });
    expect(result).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
  });

  it('exits 2 for a mistake, with the sentence on stderr or as JSON on stdout', async () => {
    const human = await run(['inti'], { currentDirectory: directory });
    expect(human).toMatchObject({ exitCode: 2, stdout: '' });
    expect(human.stderr).toBe('neon: unknown command inti: did you mean init?; see neon --help\n');
    const machine = await run(['inti', '--json'], { currentDirectory: directory });
    expect(machine).toMatchObject({ exitCode: 2, stderr: '' });
    expect(machine.json()).toEqual({
      version: 1,
      error: {
        code: 'CLI_USAGE',
        operation: 'parse arguments',
        context: {},
        message: 'unknown command inti: did you mean init?; see neon --help',
        exitCode: 2,
      },
    });
  });

  it('names the next step where there is no repository', async () => {
    const result = await run(['snapshot', 'ls'], { currentDirectory: directory });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('neon init');
    expect(result.stderr).toContain('--storage_dest');
    expect(result.stderr).toContain('[CLI_NO_REPOSITORY]');
  });

  it.each([
    [['storage', 'ls', 'gopher://x/y'], 2, 'PLUGIN_NOT_FOUND', 'gopher'],
    [['storage', 'ls', 's3:bucket'], 2, 'STORAGE_INVALID_URL', 's3://'],
    [
      ['init', '--storage_dest=../b', '--snapshot_path=.', '--snapshot_format=pgdatta'],
      2,
      'PLUGIN_NOT_FOUND',
      'Did you mean "pgdata"?',
    ],
    [['init', '--storage_dest=../b', '--snapshot_path=.'], 1, 'CLI_FORMAT_UNKNOWN', '--snapshot_format'],
    [['init'], 2, 'CLI_USAGE', '--storage_dest is missing'],
    [['init', '--storage_dest=b', '--recover'], 2, 'CLI_USAGE', 'needs --snapshot_path'],
    [
      ['init', '--storage_dest=b', '--snapshot_path=.', '--pg_version=16'],
      2,
      'CLI_USAGE',
      'is for a new cluster',
    ],
    [['init', '--storage_dest=b', '--tenant_id=12'], 2, 'CLI_USAGE', '32 hex digits'],
    [
      ['plugins', 'list', '--plugin=@nobody/neon-nothing'],
      1,
      'CLI_PLUGIN_NOT_INSTALLED',
      '@nobody/neon-nothing',
    ],
    [['export', '--storage_dest=b', '--snapshot_path=c', '--concurrency=0'], 2, 'CLI_USAGE', 'from 1 to 64'],
    [['tenant', 'delete', '--storage_dest=b'], 2, 'CLI_USAGE', 'neon tenant ls'],
    [['timeline', 'delete', '--storage_dest=b'], 2, 'CLI_USAGE', 'neon timeline ls'],
    [['inspect', 'nowhere'], 1, 'STORAGE_NOT_FOUND', 'nowhere'],
  ] as const)('%j exits %i with %s', async (argv, exitCode, code, hint) => {
    const result = await run([...argv, '--json'], { currentDirectory: directory });
    const { error } = result.json() as { error: Record<string, unknown> };
    expect(error).toMatchObject({ code, exitCode });
    expect(String(error.message)).toContain(hint);
    expect(result.exitCode).toBe(exitCode);
  });

  it('shows the stack of a failure that nobody foresaw, with its secrets masked', async () => {
    await writeFile(
      path.join(directory, 'broken-plugin.mjs'),
      `export const plugin = { kind: 'storage', name: 'broken', schemes: ['broken'], settings: [],
        open: () => { throw new TypeError('cannot read ${SECRET}'); } };`,
    );
    const result = await run(
      ['storage', 'ls', 'broken://x', `--plugin=${path.join(directory, 'broken-plugin.mjs')}`],
      { currentDirectory: directory, env: { AWS_SECRET_ACCESS_KEY: SECRET } },
    );
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('TypeError: cannot read ***');
    expect(result.stderr).toContain('broken-plugin.mjs');
    expect(result.stderr).not.toContain(SECRET);
  });

  it.each([
    'AWS_SECRET_ACCESS_KEY',
    'NEON_STORAGE_AWS_SESSION_TOKEN',
    'WALG_LIBSODIUM_KEY_TRANSFORM_PASSWORD',
    'AZURE_STORAGE_ACCESS_KEY',
  ])('never prints the value of %s, whatever the user does with it', async (name) => {
    for (const argv of [
      ['storage', 'ls', `s3://${SECRET}`],
      ['storage', 'ls', `https://user:${SECRET}@host/`],
      [SECRET],
      ['init', `--${SECRET}`],
      ['inspect', SECRET],
      ['storage', 'ls', SECRET],
    ]) {
      for (const extra of [[], ['--json']]) {
        const result = await run([...argv, ...extra], {
          currentDirectory: directory,
          env: { [name]: SECRET },
        });
        expect(result.exitCode).not.toBe(0);
        expect(result.stdout + result.stderr).not.toContain(SECRET);
        expect(result.stdout + result.stderr).not.toContain(encodeURIComponent(SECRET));
      }
    }
  });

  it('masks a secret that JSON has to escape', async () => {
    const result = await run(['inspect', QUOTED_SECRET, '--json'], {
      currentDirectory: directory,
      env: { AWS_SESSION_TOKEN: QUOTED_SECRET },
    });
    expect(JSON.stringify(result.json())).not.toContain(JSON.stringify(QUOTED_SECRET).slice(1, -1));
    expect(result.stdout).toContain('***');
  });

  it('does not take the path of a token file for a secret', async () => {
    const result = await run(['inspect', 'token.txt'], {
      currentDirectory: directory,
      env: { AWS_WEB_IDENTITY_TOKEN_FILE: 'token.txt' },
    });
    expect(result.stderr).toContain('token.txt');
  });

  it('loads packages of others, named by a flag or in NEON_PLUGINS, and refuses a name that is taken', async () => {
    const plugin = (scheme: string) =>
      `export const plugin = { kind: 'storage', name: '${scheme}', schemes: ['${scheme}'], settings: [], open: () => {} };`;
    await writeFile(path.join(directory, 'acme.mjs'), plugin('acme'));
    await writeFile(path.join(directory, 'thief.mjs'), plugin('s3'));
    const named = await run(['plugins', 'list', '--json'], {
      currentDirectory: directory,
      env: { NEON_PLUGINS: './acme.mjs' },
    });
    expect(named.json().plugins).toContainEqual({
      kind: 'storage',
      names: ['acme'],
      packageName: './acme.mjs',
    });
    const twice = await run(['plugins', 'list', '--json', '--plugin=./thief.mjs'], {
      currentDirectory: directory,
    });
    expect(twice.json().error).toMatchObject({ code: 'PLUGIN_DUPLICATE' });
  });
});
