import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig, readConfigIfAny, writeConfig } from './config-file.ts';
import { assertNoRepository, initRepository, openRepository } from './repository.ts';
import { acquireLock, readLockHolder } from './repository-lock.ts';
import { repositoryDirectory, repositoryPaths } from './repository-paths.ts';

const CONFIG = {
  storage_dest: 's3://bucket/app?region=eu-central-1',
  tenant_id: '0123456789abcdef0123456789abcdef',
  timeline_id: 'fedcba9876543210fedcba9876543210',
  pg_version: 17,
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'neon-repository-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function writeToml(lines: Readonly<Record<string, string>>): Promise<void> {
  const toml = {
    ...Object.fromEntries(Object.entries(CONFIG).map(([name, value]) => [name, JSON.stringify(value)])),
    ...lines,
  };
  await mkdir(join(directory, '.neon'), { recursive: true });
  const text = Object.entries(toml).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(repositoryPaths(directory).configFile, text.join(''));
}

test('a file where the directory would have to be is said in words', async () => {
  const file = join(directory, 'file');
  await writeFile(file, '');
  await expect(initRepository({ directory: file, config: CONFIG })).rejects.toMatchObject({
    code: 'REPOSITORY_IO',
    message: expect.stringContaining('a file stands where a directory would have to be'),
  });
});

describe('init and open', () => {
  test('what init keeps is what open finds', async () => {
    const made = await initRepository({ directory, config: { ...CONFIG, plugins: ['@acme/neon-format-x'] } });
    const opened = await openRepository({ directory });
    expect(opened.config).toEqual({ ...CONFIG, config_version: 1, plugins: ['@acme/neon-format-x'] });
    expect(opened.paths).toEqual(made.paths);
    expect(await readdir(opened.paths.root)).toEqual(['.gitignore', 'config.toml']);
  });

  test('a relative storage path is kept absolute', async () => {
    const { config } = await initRepository({ directory, config: { ...CONFIG, storage_dest: 'some/place' } });
    expect(config.storage_dest).toBe(`file://${join(process.cwd(), 'some/place')}`);
  });

  test('a second init is refused, and of two at once exactly one succeeds', async () => {
    const both = await Promise.allSettled([
      initRepository({ directory, config: CONFIG }),
      initRepository({ directory, config: { ...CONFIG, pg_version: 16 } }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'REPOSITORY_EXISTS' },
    });
    await expect(assertNoRepository(directory)).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
  });

  test('a configuration that is refused leaves no directory', async () => {
    const config = { ...CONFIG, storage_dest: 's3://bucket/app?secret_access_key=hunter2' };
    await expect(initRepository({ directory, config })).rejects.toMatchObject({
      code: 'REPOSITORY_CONFIG_INVALID',
      message: expect.not.stringContaining('hunter2'),
    });
    expect(await readdir(directory)).toEqual([]);
  });

  test('where there is no repository, the error says how to make or name one', async () => {
    expect(await readConfigIfAny(directory)).toBeUndefined();
    await expect(openRepository({ directory })).rejects.toMatchObject({
      code: 'REPOSITORY_NOT_FOUND',
      message: expect.stringMatching(/neon init.*-D/),
    });
  });

  test('the directory is the option, else NEON_REPO_DIR, else the current one', () => {
    const currentDirectory = '/home/me';
    expect(repositoryDirectory({ option: 'a', env: { NEON_REPO_DIR: '/b' }, currentDirectory })).toBe(
      '/home/me/a',
    );
    expect(repositoryDirectory({ env: { NEON_REPO_DIR: '/b' }, currentDirectory })).toBe('/b');
    expect(repositoryDirectory({ env: { NEON_REPO_DIR: '' }, currentDirectory })).toBe('/home/me');
  });
});

describe('config.toml', () => {
  test.each([
    ['tenantid', '"x"', /tenantid is unknown; did you mean tenant_id\?/],
    ['storage-dest', '"x"', /did you mean storage_dest\?/],
    ['snapshot_path', '"file:///x"', /snapshot_path is never saved; give it as a flag/],
    ['aws_secret_access_key', '"x"', /looks like a secret.*environment/],
    ['colour', '"x"', /colour is unknown \(known: config_version, storage_dest/],
    ['tenant_id', '"ABC"', /tenant_id: expected 32 lower-case hex digits/],
    ['pg_version', '13', /pg_version: Too small/],
    ['pg_version', '"17"', /pg_version: Invalid input: expected number/],
    ['config_version', '2', /use a newer neon/],
    ['storage_dest', '"s3:bucket"', /storage_dest: "s3:bucket" is not a storage URL/],
    ['plugins', '"one"', /plugins: Invalid input: expected array/],
  ])('%s = %s is refused', async (name, value, message) => {
    await writeToml({ [name]: value });
    await expect(readConfig(directory)).rejects.toMatchObject({
      code: 'REPOSITORY_CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('a missing name is named, and every fault is told at once', async () => {
    await mkdir(join(directory, '.neon'));
    await writeFile(repositoryPaths(directory).configFile, 'pg_version = 17\nother = 1\n');
    await expect(readConfig(directory)).rejects.toThrow(
      /storage_dest is missing; tenant_id is missing;.*other is unknown/,
    );
  });

  test('a file that is not TOML is an error with its line', async () => {
    await writeToml({ plugins: '[' });
    await expect(readConfig(directory)).rejects.toMatchObject({
      code: 'REPOSITORY_CONFIG_INVALID',
      message: expect.stringMatching(/config\.toml:\d+:\d+: /),
    });
  });

  test('writing replaces the file as a whole', async () => {
    await initRepository({ directory, config: CONFIG });
    await writeConfig(directory, { ...CONFIG, plugins: ['a'] });
    expect(await readConfig(directory)).toMatchObject({ plugins: ['a'] });
    expect(await readFile(repositoryPaths(directory).configFile, 'utf8')).toMatch(/^# A neon repository/);
  });
});

describe('lock', () => {
  test('one process owns the repository until it lets go', async () => {
    const { lock, paths } = await initRepository({ directory, config: CONFIG });
    {
      await using held = await lock({ command: 'neon start' });
      expect(await readLockHolder(paths.lockFile)).toEqual(held.holder);
      await expect(lock({ command: 'neon stop' })).rejects.toMatchObject({
        code: 'REPOSITORY_LOCKED',
        message: expect.stringContaining(`neon start (pid ${process.pid}`),
      });
    }
    expect(await readLockHolder(paths.lockFile)).toBeUndefined();
    await using _again = await lock({ command: 'neon stop' });
  });

  test('a lock goes over from a process that was killed, to exactly one of many', async () => {
    const lockFile = join(directory, 'lock');
    const script = `
      const { acquireLock } = await import(${JSON.stringify(new URL('./repository-lock.ts', import.meta.url).href)});
      await acquireLock(${JSON.stringify(lockFile)}, { command: 'neon start' });
      console.log('held');
      setInterval(() => {}, 1000);`;
    const child = spawn(
      process.execPath,
      ['--conditions=@neon-snapshot/source', '--input-type=module', '-e', script],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await once(child.stdout, 'data');
    await expect(acquireLock(lockFile, { command: 'neon stop' })).rejects.toMatchObject({
      code: 'REPOSITORY_LOCKED',
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => acquireLock(lockFile, { command: `try ${index}` })),
    );
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(directory)).toEqual(['lock']);
  });

  test.runIf(process.platform === 'linux')(
    'the number of a dead process that another one has now does not keep the lock (Linux tells them apart)',
    async () => {
      const lockFile = join(directory, 'lock');
      const holder = {
        pid: process.pid,
        host: hostname(),
        processStart: 'another boot:1',
        command: 'neon start',
        since: '',
      };
      await writeFile(lockFile, JSON.stringify(holder));
      await using lock = await acquireLock(lockFile, { command: 'neon stop' });
      expect(lock.holder.pid).toBe(process.pid);
    },
  );

  test("another machine's lock and an unreadable one stand", async () => {
    const lockFile = join(directory, 'lock');
    for (const text of ['{"pid":1,"host":"elsewhere","command":"neon start"}', 'not json']) {
      await writeFile(lockFile, text);
      await expect(acquireLock(lockFile, { command: 'neon stop' })).rejects.toMatchObject({
        code: 'REPOSITORY_LOCKED',
      });
    }
  });
});
