import type { FormatOptions, SnapshotReader } from '@neon-snapshot/format-core';
import { formatLsn, type Lsn, lsn, parseRelationPath } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { digestFiles, type FileDigest } from './testing/exported-files.ts';
import {
  HAS_SAMPLES,
  SAMPLES_NOTE,
  type SampleFacts,
  sampleFacts,
  sampleListing,
  sampleStorage,
} from './testing/neon-samples.ts';
import { sampleWal } from './testing/sample-wal.ts';
import { testServices } from './testing/services.ts';

function openReader(storage: Storage, options: FormatOptions): Promise<SnapshotReader> {
  return plugin.openReader({ storage, options, services: testServices().services, concurrency: 2 });
}

function optionsAt(facts: SampleFacts, timeline: string, phase: string): FormatOptions {
  const lsn = facts.phases.find(({ name }) => name === phase)?.lsn;
  return { tenant_id: facts.tenant, timeline_id: facts.timelines[timeline], lsn };
}

/** Timeline, phase and the point that the phase's listings are of. */
const POINTS = [
  ['pg14', 'main', 'base'],
  ['pg15', 'main', 'base'],
  ['pg16', 'main', 'base'],
  ['pg16', 'main', 'p1'],
  ['pg16', 'main', 'p2'],
  ['pg16', 'main', 'p3'],
  ['pg16', 'branch', 'p2'],
  ['pg17', 'main', 'base'],
  ['pg17', 'main', 'p1'],
  ['pg17', 'main', 'p2'],
  ['pg17', 'main', 'p3'],
  ['pg17', 'branch', 'p2'],
] as const;

async function digestAt(name: string, timeline: string, phase: string): Promise<Map<string, FileDigest>> {
  await using storage = await sampleStorage(name);
  await using reader = await openReader(storage, optionsAt(sampleFacts(name), timeline, phase));
  return await digestFiles(reader);
}

/** Relations that have an init fork. */
function unloggedOf(paths: Iterable<string>): Set<string> {
  return new Set([...paths].filter((path) => path.endsWith('_init')).map((path) => path.slice(0, -5)));
}

function isUnlogged(path: string, unlogged: ReadonlySet<string>): boolean {
  return !path.endsWith('_init') && unlogged.has(path.replace(/(_fsm|_vm)?(\.\d+)?$/, ''));
}

/*
 * What stock Postgres has otherwise. Everywhere: newer minor releases write the entry of the next multixact, too. Where its
 * recovery was told to stop it went over one record that begins there: a COMMIT PREPARED and a change of one table.
 */
const OTHER_IN_STOCK = new Map([
  ['pg16 p1', ['pg_xact/0000']],
  ['pg16 p2', ['base/5/16522']],
]);

/** Files of stock Postgres that are other here. Page LSNs may be: Neon stamps visibility maps otherwise. */
function differencesToStock(found: ReadonlyMap<string, FileDigest>, name: string, phase: string): string[] {
  const rows = sampleListing(name, `postgres-files-${phase}`).filter(([, , sha]) => sha !== '-');
  const unlogged = unloggedOf(rows.map(([path = '']) => path));
  expect(rows.length).toBeGreaterThan(700);
  return rows.flatMap(([path = '', size, sha, shaWithoutLsns]) => {
    const file = found.get(path);
    const bytes = path.startsWith('pg_twophase/') ? Number(size) : Number(size) * 8192;
    if (isUnlogged(path, unlogged)) return [];
    const isEqual = sha === file?.sha256WithoutChecksums || shaWithoutLsns === file?.sha256WithoutLsns;
    return isEqual && file?.bytes === bytes ? [] : [path];
  });
}

/** Relations, relation maps, transaction status and prepared transactions that are other than in the page server's own export, or are in only one. */
function differencesToFullBackup(
  found: ReadonlyMap<string, FileDigest>,
  listing: string,
  name: string,
): string[] {
  const isCompared = (path: string) =>
    parseRelationPath(path) !== undefined || /^pg_(xact|multixact|twophase)\/|filenode.map$/.test(path);
  const members = sampleListing(name, listing).filter(
    ([path = '', type]) => isCompared(path) && type !== '5',
  );
  const unlogged = unloggedOf(members.map(([path = '']) => path));
  // A page server sends redone pages with the checksums of their last images; ours are made anew.
  const hasStaleChecksums = name === 'pg17' && !listing.endsWith('base');
  const line = (path: string, bytes: number | string, sha = '') =>
    hasStaleChecksums && parseRelationPath(path) !== undefined
      ? `${path} ${bytes}`
      : `${path} ${bytes} ${sha.slice(0, 32)}`;
  const expected = members.flatMap(([path = '', , size = '', , sha]) =>
    isUnlogged(path, unlogged) ? [] : [line(path, size, sha)],
  );
  const exported = [...found].flatMap(([path, { bytes, sha256 }]) =>
    isCompared(path) ? [line(path, bytes, sha256)] : [],
  );
  const [theirs, ours] = [new Set(expected), new Set(exported)];
  return [...expected.filter((each) => !ours.has(each)), ...exported.filter((each) => !theirs.has(each))];
}

describe.runIf(HAS_SAMPLES)(`timelines of a real page server${SAMPLES_NOTE}`, () => {
  test.each(POINTS)(
    '%s %s at %s is what stock Postgres has at that LSN, and what the page server exports',
    async (name, timeline, phase) => {
      const found = await digestAt(name, timeline, phase);
      expect(differencesToStock(found, name, phase)).toEqual([
        ...(OTHER_IN_STOCK.get(`${name} ${phase}`) ?? []),
        ...(phase === 'base' ? [] : ['pg_multixact/offsets/0000']),
      ]);
      expect(differencesToFullBackup(found, `fullbackup-${timeline}-${phase}`, name)).toEqual([]);
    },
  );

  test('a tenant in shards is read as a whole, with layers from before its split', async () => {
    await using storage = await sampleStorage('pg16');
    await using reader = await openReader(storage, { tenant_id: '16606060606060606060606060606060' });
    const found = await digestFiles(reader);
    const others = [...(OTHER_IN_STOCK.get('pg16 p1') ?? []), 'pg_multixact/offsets/0000'];
    expect(differencesToStock(found, 'pg16', 'p1')).toEqual(others);
    expect(differencesToFullBackup(found, 'fullbackup-main-p1', 'pg16')).toEqual([]);
  });

  test('an LSN inside of a record is the state before that record', async () => {
    const facts = sampleFacts('pg17');
    const records = [...sampleWal('pg17')];
    const record = records.findLast(({ start, end }) => end - start > 200n) ?? records[0];
    if (record === undefined) throw new Error('there is no WAL');
    await using storage = await sampleStorage('pg17');
    const digestsAt = async (at: Lsn) => {
      const options = { ...optionsAt(facts, 'main', 'p3'), lsn: formatLsn(at) };
      await using reader = await openReader(storage, options);
      const files = [...(await digestFiles(reader))].filter(([path]) => !path.startsWith('pg_wal/'));
      return files.map(([path, { sha256 }]) => `${path} ${sha256}`).sort();
    };
    const before = await digestsAt(record.start);
    expect(await digestsAt(lsn(record.end - 1n))).toEqual(before);
    expect(await digestsAt(record.end)).not.toEqual(before);
  });

  test('several timelines are listed, an archived one has to be named', async () => {
    await using storage = await sampleStorage('pg15');
    const { tenant, timelines } = sampleFacts('pg15');
    const { main, archived, bootstrap } = timelines;
    const error = await openReader(storage, {}).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'FORMAT_AMBIGUOUS' });
    expect(String(error)).toContain(`--tenant_id=${tenant} --timeline_id=${main}`);
    expect(String(error)).toContain(`${bootstrap}`);
    expect(String(error)).not.toContain(`${archived}`);
    await using reader = await openReader(storage, { timeline_id: archived });
    expect(reader.info.postgresMajor).toBe(15);
  });

  test.each(['0/1', 'F/0'])('LSN %s is outside of what the timeline has', async (lsn) => {
    await using storage = await sampleStorage('pg14');
    const { main } = sampleFacts('pg14').timelines;
    await expect(openReader(storage, { timeline_id: main, lsn })).rejects.toMatchObject({
      code: 'FORMAT_LSN_OUT_OF_RANGE',
    });
  });
});
