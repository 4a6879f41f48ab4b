import { chmod, cp, mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { openCacheDirectory } from './cache-directory.ts';
import { findPostgres, listPostgres } from './find-postgres.ts';
import { listNpmPostgres } from './npm-packages.ts';
import { makeTemporaryDirectory } from './testing/small-cluster.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('npm packages of several majors are found side by side, under any alias', async () => {
  const installations = await listPostgres();
  const majors = installations.filter(({ source }) => source === 'npm').map(({ major }) => major);
  expect(majors).toEqual(expect.arrayContaining([14, 15, 16, 17, 18]));
});

test('the environment names a directory that wins over npm', async () => {
  const { binDirectory } = await findPostgres({ major: 16 });
  vi.stubEnv('NEON_POSTGRES_16_BIN', binDirectory);
  expect(await findPostgres({ major: 16 })).toMatchObject({ source: 'environment', major: 16, binDirectory });
});

test('a directory of another major in the environment is passed over', async () => {
  const { binDirectory } = await findPostgres({ major: 16 });
  vi.stubEnv('NEON_POSTGRES_17_BIN', binDirectory);
  expect(await findPostgres({ major: 17 })).toMatchObject({ source: 'npm', major: 17 });
});

test('a major that is not installed is an error that says what to install', async () => {
  await expect(findPostgres({ major: 99 })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_NOT_FOUND',
    message: expect.stringContaining('NEON_POSTGRES_99_BIN'),
  });
});

test('programs without their library links, below a private directory, run from a complete copy in the cache', async () => {
  await using temporary = await makeTemporaryDirectory();
  const project = join(temporary.path, 'private');
  const target = join(project, 'node_modules', '@acme', 'some-postgres');
  const [original] = (await listNpmPostgres([import.meta.dirname])).filter(({ major }) => major === 18);
  await mkdir(project, { mode: 0o700 });
  await cp(original?.packageDirectory ?? '', target, { recursive: true });
  const manifest = JSON.parse(await readFile(join(target, 'package.json'), 'utf8'));
  await writeFile(join(target, 'package.json'), JSON.stringify({ ...manifest, version: '18.99.0-test' }));
  const links = JSON.parse(await readFile(join(target, 'native', 'pg-symlinks.json'), 'utf8'));
  for (const link of links) await rm(join(target, link.target), { force: true });

  const cacheDirectory = join(temporary.path, 'cache');
  const options = { major: 18, searchPath: [project], cacheDirectory };
  const found = await findPostgres(options);
  expect(found).toMatchObject({ source: 'npm', major: 18 });
  expect(found.binDirectory).toMatch(/cache\/postgres-18\.99\.0-test-[0-9a-f]{16}\/native\/bin$/);
  const library = links.find((link: { target: string }) => link.target.endsWith('libpq.so.5'));
  expect(await readlink(join(found.binDirectory, '..', '..', library.target))).toMatch(/^libpq\.so\.5\.\d+$/);
  expect(await findPostgres(options)).toEqual(found);
});

test('a cache that another user could write to is refused', async () => {
  await using temporary = await makeTemporaryDirectory();
  const directory = join(temporary.path, 'open');
  await mkdir(directory);
  await chmod(directory, 0o777);
  await expect(openCacheDirectory({ user: undefined, directory })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_UNREACHABLE',
    message: expect.stringContaining('writable by other users'),
  });
});
