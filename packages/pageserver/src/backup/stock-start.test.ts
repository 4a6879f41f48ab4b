import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTimeline, TimelineView } from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { findPostgres, runAmcheck, startPostgres, unprivilegedUser } from '@neon-snapshot/postgres-process';
import { describe, expect, test } from 'vitest';
import {
  HAS_SAMPLES,
  phaseLsn,
  SAMPLES_NOTE,
  sampleFacts,
  sampleStorage,
} from '../testing/sample-timelines.ts';
import { writeBackup } from './write-backup.ts';

const ROW_DIGEST = `md5(string_agg(x::text, E'\\n' ORDER BY x::text COLLATE "C"))`;

interface ListedTable {
  readonly rows: number;
  readonly md5: string;
}

/** What the cluster held at that moment, by the Postgres that wrote it. */
function listedTables(sample: string, phase: string): Readonly<Record<string, ListedTable>> {
  const facts = sampleFacts(sample).phases.find(({ name }) => name === phase) as unknown as {
    readonly databases: { readonly postgres: { readonly tables: Readonly<Record<string, ListedTable>> } };
  };
  return facts.databases.postgres.tables;
}

async function writeDirectory(place: { readonly sample: string; readonly phase: string }, directory: string) {
  const { tenant, timelines, major } = sampleFacts(place.sample);
  const storage = await sampleStorage(place.sample);
  const source = await loadTimeline(storage, { tenant, timelineId: timelines.main ?? '' });
  const lsn = phaseLsn(place.sample, place.phase);
  const reader = await TimelineView.open(storage, source, { lsn, redo: createValueRedo(major) });
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeBackup({ reader, kind: 'full', prevLsn: undefined, now: new Date() }))
    chunks.push(Buffer.from(chunk));
  reader.close();
  await mkdir(directory);
  execFileSync('tar', ['-x', '-C', directory, '-f', '-'], { input: Buffer.concat(chunks) });
  // The sample's own: an aux file whose name no Postgres gives, over which a checkpoint stumbles.
  await rm(join(directory, 'pg_logical/mappings/map-test'), { force: true });
  await chmod(directory, 0o700);
  const user = unprivilegedUser();
  if (user) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, directory]);
}

describe.runIf(HAS_SAMPLES)(`a full backup${SAMPLES_NOTE}`, () => {
  test.each([
    { sample: 'pg14', phase: 'base' },
    { sample: 'pg15', phase: 'base' },
    { sample: 'pg16', phase: 'p1' },
    { sample: 'pg17', phase: 'p3' },
  ])('of $sample at $phase starts under stock Postgres, with the tables of that moment', async (place) => {
    const parent = await mkdtemp(join(tmpdir(), 'neon-fullbackup-'));
    try {
      await chmod(parent, 0o755);
      const dataDirectory = join(parent, 'data');
      await writeDirectory(place, dataDirectory);
      const major = Number(place.sample.slice(2)) as 14 | 15 | 16 | 17;
      const installation = await findPostgres({ major });
      await using server = await startPostgres({
        installation,
        dataDirectory,
        settings: { max_prepared_transactions: 10, wal_level: 'logical', TimeZone: 'UTC' },
      });
      for (const [table, { rows, md5 }] of Object.entries(listedTables(place.sample, place.phase))) {
        const [found] = await server.query(
          `SELECT count(*) AS rows, coalesce(${ROW_DIGEST}, '') AS md5 FROM ${table} x`,
        );
        expect([table, found]).toEqual([table, { rows: String(rows), md5 }]);
      }
      // They hold locks that amcheck would wait for.
      for (const { gid, database } of await server.query('SELECT gid, database FROM pg_prepared_xacts'))
        await server.query(`ROLLBACK PREPARED '${gid}'`, { database: database ?? '' });
      expect((await runAmcheck(server)).problems).toEqual([]);
      await server.query('CREATE TABLE written AS SELECT 1; CHECKPOINT');
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  });
});
