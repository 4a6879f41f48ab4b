import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeControlFile,
  decodeXLogRecordHeader,
  formatLsn,
  type Lsn,
  readWalRecords,
} from '@neon-snapshot/postgres';
import { findPostgres, initdb } from '@neon-snapshot/postgres-process';
import { type RepositoryPaths, repositoryPaths } from '@neon-snapshot/repository';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PageServerState, writePageServerState } from '../page-server-state.ts';
import {
  type StandInPageServer,
  startStandIn,
  TENANT_ID,
  TIMELINE_ID,
} from '../testing/stand-in-page-server.ts';
import { createEndpoint } from './create-endpoint.ts';
import { type Endpoint, findEndpoint, listEndpoints } from './endpoint-state.ts';
import { readPassword } from './passfile.ts';
import { startEndpoint } from './start-endpoint.ts';
import { stopEndpoint } from './stop-endpoint.ts';

const MAJOR = 17;

let directory: string;
let repository: RepositoryPaths;
let pageServer: StandInPageServer;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-endpoint-'));
  await chmod(directory, 0o755);
  repository = repositoryPaths(directory);
  await mkdir(repository.root);
  pageServer = await startStandIn(repository);
});
afterEach(async () => {
  for (const { name } of await listEndpoints(repository))
    await stopEndpoint({ repository, name, mode: 'immediate' });
  await pageServer[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** A cluster of initdb in place of one out of a timeline. */
async function build({ dataDirectory }: { readonly dataDirectory: string }): Promise<{ nextRecord: Lsn }> {
  const installation = await findPostgres({ major: MAJOR, prefer: 'system' });
  await initdb({ installation, dataDirectory, superuser: 'the: owner', sync: false });
  return { nextRecord: (await controlOf(dataDirectory)).checkPoint };
}

async function controlOf(dataDirectory: string) {
  return decodeControlFile(await readFile(path.join(dataDirectory, 'global/pg_control')));
}

async function client(endpoint: Endpoint, role: string): Promise<pg.Client> {
  const password = await readPassword(endpoint.paths.passfile, role);
  const made = new pg.Client({
    host: '127.0.0.1',
    port: endpoint.port,
    user: role,
    database: 'postgres',
    password,
  });
  await made.connect();
  return made;
}

async function sql(endpoint: Endpoint, text: string): Promise<Record<string, unknown>[]> {
  const session = await client(endpoint, 'the: owner');
  try {
    return (await session.query<Record<string, unknown>>(text)).rows;
  } finally {
    await session.end();
  }
}

const create = () =>
  createEndpoint({ repository, name: 'main', timelineId: TIMELINE_ID, postgresMajor: MAJOR });

/** The last record of a stopped cluster: its shutdown checkpoint. */
async function lastRecordOf(dataDirectory: string): Promise<{ start: string; end: string; crc: number }> {
  const control = await controlOf(dataDirectory);
  const [record] = readWalRecords({
    major: MAJOR,
    segmentSize: control.walSegmentSizeBytes,
    start: control.checkPoint,
    segment: (segno) => segments.get(segno),
  });
  if (record === undefined) throw new Error('no checkpoint record');
  const { crc } = decodeXLogRecordHeader(record.bytes);
  return { start: formatLsn(record.start), end: formatLsn(record.end), crc };
}

const segments = new Map<number, Uint8Array>();
async function loadSegments(dataDirectory: string): Promise<void> {
  segments.clear();
  for (const name of await readdir(path.join(dataDirectory, 'pg_wal'))) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue;
    segments.set(
      Number.parseInt(name.slice(16), 16),
      await readFile(path.join(dataDirectory, 'pg_wal', name)),
    );
  }
}

describe('an endpoint', { timeout: 60_000 }, () => {
  it('is built, asks for passwords everywhere and is connected to the page server', async () => {
    await create();
    const { endpoint, reused } = await startEndpoint({ repository, name: 'main', build });
    expect(reused).toBe(false);
    expect(endpoint).toMatchObject({ superuser: 'the: owner', pid: expect.any(Number) });
    expect((await stat(endpoint.paths.passfile)).mode & 0o777).toBe(0o600);
    const [row] = await sql(
      endpoint,
      "SELECT current_setting('wal_level') AS wal, (SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256') AS open, (SELECT restart_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'neon_pageserver') AS kept",
    );
    expect(row).toEqual({ wal: 'replica', open: '0', kept: true });
    const timeline = `/v1/tenant/${TENANT_ID}/timeline/${TIMELINE_ID}`;
    expect(pageServer.calls).toEqual([`PUT ${timeline}/push?what=tail`, `PUT ${timeline}/wal_source`]);
    expect(pageServer.bodies).toEqual([
      {
        host: endpoint.socketDirectory,
        port: endpoint.port,
        user: 'neon_replication',
        passfile: endpoint.paths.passfile,
        slot: 'neon_pageserver',
      },
    ]);
    await expect((await client(endpoint, 'neon_replication')).end()).resolves.toBeUndefined();
  });

  it('is used again when the page server has its last record, and built anew when it has another', async () => {
    await create();
    const first = await startEndpoint({ repository, name: 'main', build });
    await sql(first.endpoint, 'CREATE TABLE kept (a int)');
    expect(await stopEndpoint({ repository, name: 'main' })).toBe('clean');
    await loadSegments(first.endpoint.paths.dataDirectory);
    const lastRecord = await lastRecordOf(first.endpoint.paths.dataDirectory);
    pageServer.lastRecord = lastRecord;
    pageServer.lastRecordLsn = lastRecord.end;
    const second = await startEndpoint({ repository, name: 'main', build });
    expect(second.reused).toBe(true);
    expect(second.endpoint.port).toBe(first.endpoint.port);
    await sql(second.endpoint, 'TABLE kept');
    await stopEndpoint({ repository, name: 'main', mode: 'immediate' });

    pageServer.lastRecord = { ...lastRecord, crc: (lastRecord.crc ^ 1) >>> 0 };
    const notes: string[] = [];
    const third = await startEndpoint({
      repository,
      name: 'main',
      build,
      onNote: (note) => notes.push(note),
    });
    expect(third.reused).toBe(false);
    expect(notes.join()).toContain('it has gone its own way');
    await expect(sql(third.endpoint, 'TABLE kept')).rejects.toThrow('does not exist');
  });

  it('that runs is left alone by another start, and one that was killed starts again', async () => {
    await create();
    const first = await startEndpoint({ repository, name: 'main', build });
    expect((await startEndpoint({ repository, name: 'main', build })).wasRunning).toBe(true);
    process.kill(first.endpoint.pid ?? 0, 'SIGKILL');
    while ((await findEndpoint(repository, 'main'))?.pid !== undefined)
      await new Promise((done) => setTimeout(done, 20));
    pageServer.lastRecordLsn = first.endpoint.builtAt ?? '';
    const again = await startEndpoint({ repository, name: 'main', build });
    expect(again).toMatchObject({ wasRunning: false, reused: true });
  });

  it('that a fenced page server stops while it starts is told by whom the storage was taken over', async () => {
    await create();
    pageServer.isFenced = true;
    const stopped = async (of: { readonly dataDirectory: string }) => {
      const built = await build(of);
      // The postmaster ends at once.
      await appendFile(
        path.join(of.dataDirectory, 'postgresql.auto.conf'),
        `\nssl = on\nssl_cert_file = 'absent'\n`,
      );
      return built;
    };
    const word = (async () => {
      await sleep(3_000);
      const state = JSON.parse(await readFile(repository.pageServerFile, 'utf8')) as PageServerState;
      const ended = {
        at: new Date(0).toISOString(),
        code: 'PAGESERVER_FENCED',
        message: 'taken over by another',
      };
      await writePageServerState(repository, { ...state, ended });
    })();
    await expect(startEndpoint({ repository, name: 'main', build: stopped })).rejects.toMatchObject({
      code: 'RUNNER_NOT_RUNNING',
      message: expect.stringContaining('taken over by another'),
    });
    await word;
  });

  it('cannot start without a page server, and an unknown one is named with those there are', async () => {
    await create();
    await expect(startEndpoint({ repository, name: 'mian', build })).rejects.toMatchObject({
      code: 'RUNNER_ENDPOINT_NOT_FOUND',
      message: expect.stringContaining('there are: main'),
    });
    await rm(repository.pageServerFile);
    await expect(startEndpoint({ repository, name: 'main', build })).rejects.toMatchObject({
      code: 'RUNNER_NOT_RUNNING',
    });
  });
});
