import { randomUUID } from 'node:crypto';
import {
  appendFile,
  chmod,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyTree, findPostgres, recoverDataDirectory, startPostgres } from '@neon-snapshot/postgres-process';
import { expect, test } from 'vitest';
import { makeTestCluster } from './make-test-cluster.ts';
import { verifyTestCluster } from './verify-test-cluster.ts';

test.each([14, 15, 16, 17, 18])(
  'recovery in a scratch copy keeps everything of a crashed cluster of major %i and leaves the original alone',
  async (major) => {
    const configuration = 'wal_level = logical\nmax_connections = 133\n';
    await using cluster = await makeTestCluster({ major, shutdown: 'kill', configuration });
    const { dataDirectory, expected, installation } = cluster;
    const marker = join(tmpdir(), `neon-archived-${randomUUID()}`);
    const archiving = `archive_mode = on\narchive_command = 'touch ${marker}'\n`;
    await appendFile(join(dataDirectory, 'postgresql.auto.conf'), archiving);
    const control = await readFile(join(dataDirectory, 'global', 'pg_control'));
    await using recovered = await recoverDataDirectory({ dataDirectory, installation });
    expect(await readFile(join(dataDirectory, 'global', 'pg_control'))).toEqual(control);
    expect(await readdir(dataDirectory)).toContain('postmaster.pid');
    await expect(stat(marker)).rejects.toThrow('ENOENT');
    const copy = { dataDirectory: recovered.dataDirectory, expected };
    expect(await readFile(join(copy.dataDirectory, 'postgresql.auto.conf'), 'utf8')).toContain(archiving);
    await truncate(join(copy.dataDirectory, 'postgresql.auto.conf'));
    expect(await readdir(copy.dataDirectory)).not.toContain('postmaster.opts');
    expect(await verifyTestCluster({ ...copy, recovered: true })).toEqual([]);
  },
);

test('recovery replays a base backup from its backup_label to the end of its WAL', async () => {
  await using cluster = await makeTestCluster({ major: 16, configuration: 'full_page_writes = on\n' });
  const { dataDirectory, installation } = cluster;
  const backup = await mkdtemp(join(tmpdir(), 'neon-backup-'));
  try {
    await using server = await startPostgres({ installation, dataDirectory });
    await using session = await server.connect();
    await session.query("SELECT pg_backup_start('test', true)");
    await server.query('CREATE TABLE later AS SELECT generate_series(1, 10000) AS id');
    await server.query('CHECKPOINT');
    await copyTree({
      source: dataDirectory,
      target: join(backup, 'data'),
      skip: (path) => path === 'pg_wal',
    });
    await server.query('INSERT INTO later SELECT generate_series(1, 77)');
    const [label] = await session.query('SELECT labelfile FROM pg_backup_stop(false)');
    await copyTree({ source: join(dataDirectory, 'pg_wal'), target: join(backup, 'data', 'pg_wal') });
    await rm(join(backup, 'data', 'postmaster.pid'));
    await writeFile(join(backup, 'data', 'backup_label'), label?.labelfile ?? '');
    await server.stop('immediate');
    await using recovered = await recoverDataDirectory({ dataDirectory: join(backup, 'data'), installation });
    await using copy = await startPostgres({ installation, dataDirectory: recovered.dataDirectory });
    expect(await copy.query('SELECT count(*) AS n FROM later')).toEqual([{ n: '10077' }]);
  } finally {
    await rm(backup, { recursive: true, force: true });
  }
});

test('recovery fails with the log, and leaves nothing, when the WAL is missing', async () => {
  await using cluster = await makeTestCluster({ major: 17, scale: 0.1, shutdown: 'kill' });
  const { dataDirectory, installation } = cluster;
  const scratchDirectory = await mkdtemp(join(tmpdir(), 'neon-scratch-'));
  try {
    await chmod(scratchDirectory, 0o755);
    for (const name of await readdir(join(dataDirectory, 'pg_wal')))
      if (/^[0-9A-F]{24}$/.test(name)) await rm(join(dataDirectory, 'pg_wal', name));
    await expect(
      recoverDataDirectory({ dataDirectory, installation, scratchDirectory }),
    ).rejects.toMatchObject({
      code: 'POSTGRES_PROCESS_RECOVERY',
      message: expect.stringContaining('could not locate'),
    });
    expect(await readdir(scratchDirectory)).toEqual([]);
  } finally {
    await rm(scratchDirectory, { recursive: true, force: true });
  }
});

test('recovery refuses another major, a running server and outside tablespaces', async () => {
  await using cluster = await makeTestCluster({ major: 17, scale: 0.1 });
  const { dataDirectory, installation } = cluster;
  await expect(
    recoverDataDirectory({ dataDirectory, installation: await findPostgres({ major: 16 }) }),
  ).rejects.toMatchObject({ code: 'POSTGRES_PROCESS_OPTION' });
  {
    await using _server = await startPostgres({ installation, dataDirectory });
    await expect(recoverDataDirectory({ dataDirectory, installation })).rejects.toMatchObject({
      code: 'POSTGRES_PROCESS_RUNNING',
    });
  }
  await symlink('/var/tmp', join(dataDirectory, 'pg_tblspc', '16999'));
  await expect(recoverDataDirectory({ dataDirectory, installation })).rejects.toMatchObject({
    code: 'POSTGRES_PROCESS_UNSUPPORTED',
  });
});
