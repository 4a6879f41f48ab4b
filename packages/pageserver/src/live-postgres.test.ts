import { setTimeout as delay } from 'node:timers/promises';
import { formatLsn, parseLsn } from '@neon-snapshot/postgres';
import type { PostgresServer } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { comparePages } from './testing/compare-pages.ts';
import { makeLiveTimeline, startEndpoint, walSourceOf } from './testing/live-postgres.ts';
import { openTestServer } from './testing/memory-server.ts';
import type { Timeline } from './timeline/timeline.ts';

/** All of them on CI. */
const MAJORS = process.env.CI === 'true' ? [14, 15, 16, 17] : [14];

const WORKLOAD = [
  'create table t (id int primary key, v text, n int) with (fillfactor = 70)',
  "insert into t select g, 'value ' || g, g % 97 from generate_series(1, 4000) g",
  'create index t_n on t (n)',
  'create index t_v on t using hash (v)',
  "update t set v = v || '!' where id % 3 = 0",
  'delete from t where id % 7 = 0',
  'begin; update t set n = n + 1 where id < 500; rollback',
  'vacuum t',
  'create table big (a text); alter table big alter a set storage external',
  'insert into big select repeat(md5(g::text), 300) from generate_series(1, 60) g',
  'create table gone as select generate_series(1, 1000) g; drop table gone',
  'create database other',
  'truncate big',
  "insert into t select g, 'again', g from generate_series(10000, 12000) g",
  'vacuum (freeze) t',
];

async function currentLsn(postgres: PostgresServer) {
  const [row] = await postgres.query('select pg_current_wal_flush_lsn()::text');
  return parseLsn(String(Object.values(row ?? {})[0]));
}

describe.each(MAJORS)('a running stock Postgres %i', (major) => {
  it('is followed: what it writes becomes durable, and its pages are those that it has on disk', {
    timeout: 120_000,
  }, async () => {
    await using live = await makeLiveTimeline(major);
    const { bucket, tenantId, timelineId, dataDirectory, stateDirectory } = live;
    const open = () =>
      openTestServer({
        storage: bucket,
        tenantId,
        stateDirectory,
        pushIntervalMs: 50,
        layerIntervalMs: 700,
      });
    let server = await open();
    let timeline: Timeline = server.timeline(timelineId);
    const postgres = await startEndpoint(major, dataDirectory);
    try {
      await server.setWalSource(timelineId, walSourceOf(postgres));
      for (const [index, sql] of WORKLOAD.entries()) {
        await postgres.query(sql);
        if (index === 9) {
          // It is started again in the middle, and connects by itself.
          await server.close();
          server = await open();
          timeline = server.timeline(timelineId);
        }
      }
      const written = await currentLsn(postgres);
      await timeline.waitForLsn(written, { timeoutMs: 20_000 });
      await timeline.waitForDurable(written, { timeoutMs: 20_000 });
      expect(server.walSource(timelineId)).toMatchObject({ state: 'streaming' });
      await waitUntil(async () => {
        const [row] = await postgres.query(
          "select (restart_lsn >= $1::pg_lsn)::text as ok from pg_replication_slots where slot_name = 'neon_pageserver'",
          { params: [formatLsn(written)] },
        );
        return row?.ok === 'true';
      });
      await postgres.query('checkpoint');
    } finally {
      await postgres.stop('fast');
    }
    await delay(200);
    await timeline.push();
    const end = timeline.lastRecordLsn;
    expect(timeline.remoteConsistentLsn).toBe(end);
    const { pageCount, wrong } = await comparePages(dataDirectory, timeline, end);
    expect(wrong).toEqual([]);
    expect(pageCount).toBeGreaterThan(1500);
    await server.close();
  });
});

async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (await condition()) return;
    await delay(50);
  }
  throw new Error('it did not come true');
}
