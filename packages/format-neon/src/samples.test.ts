import type { FormatOptions, SnapshotReader } from '@neon-snapshot/format-core';
import { parseRelationPath } from '@neon-snapshot/postgres';
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
import { testServices } from './testing/services.ts';

function openReader(storage: Storage, options: FormatOptions): Promise<SnapshotReader> {
  return plugin.openReader({ storage, options, services: testServices().services, concurrency: 2 });
}

function mainAt(facts: SampleFacts, phase: string): FormatOptions {
  const lsn = facts.phases.find(({ name }) => name === phase)?.lsn;
  return { tenant_id: facts.tenant, timeline_id: facts.timelines.main, lsn };
}

async function digestBase(name: string): Promise<Map<string, FileDigest>> {
  await using storage = await sampleStorage(name);
  await using reader = await openReader(storage, mainAt(sampleFacts(name), 'base'));
  return await digestFiles(reader);
}

/** Relations that have an init fork. */
function unloggedOf(paths: Iterable<string>): Set<string> {
  return new Set([...paths].filter((path) => path.endsWith('_init')).map((path) => path.slice(0, -5)));
}

function isUnlogged(path: string, unlogged: ReadonlySet<string>): boolean {
  return !path.endsWith('_init') && unlogged.has(path.replace(/(_fsm|_vm)?(\.\d+)?$/, ''));
}

describe.runIf(HAS_SAMPLES)(`timelines of a real page server${SAMPLES_NOTE}`, () => {
  test.each(['pg14', 'pg15', 'pg16', 'pg17'])(
    'the base of %s is what stock Postgres has at that LSN',
    async (name) => {
      const found = await digestBase(name);
      const rows = sampleListing(name, 'postgres-files-base').filter(([, , sha]) => sha !== '-');
      const unlogged = unloggedOf(rows.map(([path = '']) => path));
      const differences = rows.filter(([path = '', size, sha]) => {
        const file = found.get(path);
        const bytes = path.startsWith('pg_twophase/') ? Number(size) : Number(size) * 8192;
        return !isUnlogged(path, unlogged) && (file?.sha256WithoutChecksums !== sha || file?.bytes !== bytes);
      });
      expect(differences.map(([path]) => path)).toEqual([]);
      expect(rows.length).toBeGreaterThan(700);
    },
  );

  test.each(['pg14', 'pg15', 'pg16', 'pg17'])(
    'the base of %s has the relations that the page server itself exports',
    async (name) => {
      const found = await digestBase(name);
      const isRelation = (path: string) => parseRelationPath(path) !== undefined;
      const members = sampleListing(name, 'fullbackup-main-base').filter(([path = '']) => isRelation(path));
      const unlogged = unloggedOf(members.map(([path = '']) => path));
      const expected = members.flatMap(([path = '', , size, , sha]) =>
        isUnlogged(path, unlogged) ? [] : [`${path} ${size} ${sha}`],
      );
      const exported = [...found].flatMap(([path, { bytes, sha256 }]) =>
        isRelation(path) ? [`${path} ${bytes} ${sha256.slice(0, 32)}`] : [],
      );
      expect(exported.sort()).toEqual(expected.sort());
    },
  );

  test('a timeline whose pages are WAL records says that it needs redo, and where', async () => {
    await using storage = await sampleStorage('pg17');
    const facts = sampleFacts('pg17');
    await using reader = await openReader(storage, mainAt(facts, 'p1'));
    await expect(digestFiles(reader)).rejects.toMatchObject({ code: 'FORMAT_NEEDS_REDO' });
  });

  test('a sharded tenant is refused, not read through the index from before its split', async () => {
    await using storage = await sampleStorage('pg16');
    const options = { tenant_id: '16606060606060606060606060606060' };
    await expect(openReader(storage, options)).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
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
