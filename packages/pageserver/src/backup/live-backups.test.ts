import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatLsn, type Lsn, parseLsn } from '@neon-snapshot/postgres';
import {
  type ClusterChecksums,
  findPostgres,
  type PostgresServer,
  runAmcheck,
  startPostgres,
  tableChecksums,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { connectPq } from '@neon-snapshot/pq-proto';
import { describe, expect, test } from 'vitest';
import { startPageService } from '../page-service/start-page-service.ts';
import {
  makeLiveTimeline,
  makeScratchDirectory,
  startEndpoint,
  walSourceOf,
} from '../testing/live-postgres.ts';
import { openTestServer } from '../testing/memory-server.ts';

/** All of them on CI. */
const MAJORS = process.env.CI === 'true' ? [14, 15, 16, 17] : [14, 17];
/** A moment after every third step. Each costs a server's start; by hand, 1 was tried for all majors. */
const EVERY_STEP = 3;

const STEPS: readonly (readonly string[])[] = [
  [
    'create table t (id int primary key, v text, n int) with (fillfactor = 70)',
    'create index on t using hash (v)',
  ],
  ["insert into t select g, 'value ' || g, g % 97 from generate_series(1, 4000) g", 'create index on t (n)'],
  ["update t set v = v || '!' where id % 3 = 0", 'delete from t where id % 7 = 0'],
  ['vacuum t', 'begin; update t set n = n + 1 where id < 500; rollback'],
  [
    'create table big (a text); alter table big alter a set storage external',
    'create unlogged table u (i int)',
  ],
  [
    'insert into big select repeat(md5(g::text), 300) from generate_series(1, 60) g',
    'insert into u values (1)',
  ],
  [
    'create table gin (a int[]); create index on gin using gin (a)',
    'insert into gin select array[g, g % 7] from generate_series(1, 3000) g',
  ],
  [
    'create database other',
    'truncate big',
    'create table gone as select generate_series(1, 1000) g; drop table gone',
  ],
  [
    "insert into t select g, 'again', g from generate_series(10000, 12000) g",
    'reindex table t',
    'cluster t using t_pkey',
  ],
  ['vacuum (freeze) t', "update t set n = 0 where id % 5 = 0; select lo_from_bytea(4711, 'large')"],
];

interface Moment {
  readonly lsn: Lsn;
  readonly checksums: ClusterChecksums;
}

async function takeMoment(postgres: PostgresServer): Promise<Moment> {
  const checksums = await tableChecksums(postgres);
  const [row] = await postgres.query('select pg_current_wal_flush_lsn()::text as lsn');
  return { lsn: parseLsn(row?.lsn ?? ''), checksums };
}

/** Unpacks a tar with the machine's own program, for the account that servers run as. */
async function unpack(tar: AsyncIterable<Uint8Array>, directory: string): Promise<void> {
  await mkdir(directory);
  const user = unprivilegedUser();
  const child = spawn('tar', ['-x', '-C', directory, '-f', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const exited = once(child, 'exit');
  await pipeline(Readable.from(tar), child.stdin);
  expect(await exited).toEqual([0, null]);
  await chmod(directory, 0o700);
  if (user) await once(spawn('chown', ['-R', `${user.uid}:${user.gid}`, directory]), 'exit');
}

describe.each(MAJORS)('full backups of a running stock Postgres %i', (major) => {
  test('start under stock Postgres at every moment of its history, with the tables that it had then', {
    timeout: 600_000,
  }, async () => {
    await using live = await makeLiveTimeline(major);
    const { bucket, tenantId, timelineId, dataDirectory, stateDirectory } = live;
    await using pageServer = await openTestServer({
      storage: bucket,
      tenantId,
      stateDirectory,
      pushIntervalMs: 100,
      layerIntervalMs: 1_500,
    });
    const moments: Moment[] = [];
    {
      await using postgres = await startEndpoint(major, dataDirectory, { autovacuum: 'off' });
      await pageServer.setWalSource(timelineId, walSourceOf(postgres));
      for (const [index, statements] of STEPS.entries()) {
        for (const sql of statements) await postgres.query(sql);
        if (index % EVERY_STEP === 0) moments.push(await takeMoment(postgres));
      }
    }
    await using service = await startPageService({
      pageServer,
      host: '127.0.0.1',
      port: 0,
      waitTimeoutMs: 20_000,
    });
    const { port } = service;
    await using connection = await connectPq({
      host: '127.0.0.1',
      port,
      user: 'me',
      tls: 'disable',
      env: {},
    });
    await using scratch = await makeScratchDirectory();
    const installation = await findPostgres({ major });
    for (const { lsn, checksums } of moments) {
      const directory = join(scratch.path, 'restored');
      await unpack(connection.copyOut(`fullbackup ${tenantId} ${timelineId} ${formatLsn(lsn)}`), directory);
      {
        await using restored = await startPostgres({ installation, dataDirectory: directory });
        expect(await tableChecksums(restored)).toEqual(checksums);
        expect((await runAmcheck(restored)).problems).toEqual([]);
      }
      await rm(directory, { recursive: true });
    }
  });
});
