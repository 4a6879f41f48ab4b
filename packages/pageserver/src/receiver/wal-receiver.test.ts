import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseLsn } from '@neon-snapshot/postgres';
import { findPostgres, initdb, type PostgresServer } from '@neon-snapshot/postgres-process';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import type { PageServerEvent } from '../page-server/events.ts';
import {
  makeLiveTimeline,
  makeScratchDirectory,
  startEndpoint,
  walSourceOf,
} from '../testing/live-postgres.ts';
import { putMadeTimeline, TENANT } from '../testing/made-timeline.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';

const MAJOR = 16;
const PATIENCE = { timeoutMs: 20_000 };

async function currentLsn(postgres: PostgresServer) {
  const [row] = await postgres.query('select pg_current_wal_flush_lsn()::text as lsn');
  return parseLsn(String(row?.lsn));
}

async function waitFor(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 200 && !condition(); attempt += 1) await delay(50);
  expect(condition()).toBe(true);
}

describe('a receiver of WAL', () => {
  it('goes on after Postgres was killed, holds commits back with remote durability, and forgets a source that is removed', {
    timeout: 120_000,
  }, async () => {
    await using live = await makeLiveTimeline(MAJOR);
    const { bucket, tenantId, timelineId, stateDirectory, dataDirectory } = live;
    const events: PageServerEvent[] = [];
    await using server = await openTestServer({
      storage: bucket,
      tenantId,
      stateDirectory,
      durability: 'remote',
      onEvent: (event) => events.push(event),
    });
    const timeline = server.timeline(timelineId);
    const settings = { synchronous_standby_names: 'neon_pageserver', synchronous_commit: 'on' };
    const first = await startEndpoint(MAJOR, dataDirectory, settings);
    await server.setWalSource(timelineId, walSourceOf(first));
    await first.query('create table t (a int)');
    for (let count = 0; count < 20; count += 1) {
      await first.query('insert into t values (1)');
      // It was committed, so the storage has it.
      expect(timeline.durableLsn).toBeGreaterThanOrEqual(timeline.lastRecord?.start ?? 0n);
    }
    await first.stop('kill');
    await waitFor(() => server.walSource(timelineId)?.state !== 'streaming');
    expect(events).toContainEqual(expect.objectContaining({ kind: 'wal-source-lost' }));
    const second = await startEndpoint(MAJOR, dataDirectory, settings);
    await server.setWalSource(timelineId, walSourceOf(second));
    const [row] = await second.query('select count(*)::text as count from t');
    expect(row?.count).toBe('20');
    await second.query('insert into t values (2)');
    const written = await currentLsn(second);
    await timeline.waitForDurable(written, PATIENCE);
    const path = join(stateDirectory, 'pageserver-wal-sources.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ [timelineId]: walSourceOf(second) });
    await server.removeWalSource(timelineId);
    expect(server.walSource(timelineId)).toBeUndefined();
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({});
    await second.stop('immediate');
  });

  it('refuses another cluster and another TimeLineID, and takes the own ones afterwards', {
    timeout: 120_000,
  }, async () => {
    await using live = await makeLiveTimeline(MAJOR);
    const { bucket, tenantId, timelineId, stateDirectory, dataDirectory } = live;
    await using scratch = await makeScratchDirectory();
    const otherDirectory = join(scratch.path, 'other');
    await initdb({ installation: await findPostgres({ major: MAJOR }), dataDirectory: otherDirectory });
    await using server = await openTestServer({ storage: bucket, tenantId, stateDirectory });
    const timeline = server.timeline(timelineId);
    const foreign = await startEndpoint(MAJOR, otherDirectory);
    await server.setWalSource(timelineId, walSourceOf(foreign));
    await waitFor(() => server.walSource(timelineId)?.state === 'refused');
    expect(server.walSource(timelineId)?.message).toContain('it is another cluster');
    await foreign.stop('fast');
    const own = await startEndpoint(MAJOR, dataDirectory);
    // Of a primary that is not ours, a TimeLineID that was not followed: it was promoted.
    await server.setWalSource(timelineId, { ...walSourceOf(own), timeLineId: 7 });
    await waitFor(() => server.walSource(timelineId)?.state === 'refused');
    expect(server.walSource(timelineId)?.message).toContain('on TimeLineID 1, the one that is followed is 7');
    await server.setWalSource(timelineId, walSourceOf(own));
    await own.query('create table t as select generate_series(1, 1000) a');
    const written = await currentLsn(own);
    await timeline.waitForLsn(written, PATIENCE);
    await own.stop('fast');
    expect(timeline.lastRecordLsn).toBeGreaterThan(written);
  });

  it('does not start on a damaged file of sources', async () => {
    await using storage = createMemoryStorage();
    await putMadeTimeline(storage);
    await using directory = await makeStateDirectory();
    const stateDirectory = directory.path;
    await writeFile(join(stateDirectory, 'pageserver-wal-sources.json'), '{"x": 1');
    await expect(openTestServer({ storage, tenantId: TENANT, stateDirectory })).rejects.toMatchObject({
      code: 'PAGESERVER_IO',
      message: expect.stringContaining('is damaged'),
    });
  });
});
