import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { decompress, readTar } from '@neon-snapshot/archive';
import { hasPrevRecord, loadTimeline, TimelineView } from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { decodeControlFile } from '@neon-snapshot/postgres';
import { describe, expect, test } from 'vitest';
import {
  HAS_SAMPLES,
  phaseLsn,
  SAMPLES_NOTE,
  sampleFacts,
  sampleStorage,
} from '../testing/sample-timelines.ts';
import type { BackupOptions } from './backup-members.ts';
import { writeBackup } from './write-backup.ts';

const EXPECTED = fileURLToPath(new URL('../../../../../shared/data/neon/', import.meta.url));

/** What is ours: `pg_hba.conf` is shorter; the real one is Postgres' sample with its comments. */
const OTHER_CONTENT = new Set(['pg_hba.conf']);
/** A full backup of ours starts under stock Postgres. */
const STOCK_ONLY = /^(?:postgresql\.conf|global\/pg_control|pg_wal\/[0-9A-F]{24})$/;

interface Member {
  readonly path: string;
  readonly kind: 'file' | 'directory';
  readonly size: number;
  readonly mode: number;
  readonly digest: string;
}

/** What a real page server sent. */
function expectedMembers(sample: string, name: string): Member[] {
  const lines = gunzipSync(readFileSync(`${EXPECTED}${sample}/expected/${name}.tsv.gz`)).toString('latin1');
  const members = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Member => {
      const [path = '', flag, size, mode = '', digest = ''] = line.split('\t');
      const kind = flag === '5' ? 'directory' : 'file';
      return { path, kind, size: Number(size), mode: Number.parseInt(mode, 8), digest };
    });
  // `base/1` comes twice.
  return [...new Map(members.map((member) => [member.path, member])).values()];
}

async function takeBackup(
  place: { readonly sample: string; readonly timeline: string; readonly phase: string },
  options: Pick<BackupOptions, 'kind' | 'replica'> & { readonly gzip?: boolean },
): Promise<Map<string, Member & { readonly bytes: Buffer }>> {
  const { tenant, timelines, major } = sampleFacts(place.sample);
  const storage = await sampleStorage(place.sample);
  const source = await loadTimeline(storage, { tenant, timelineId: timelines[place.timeline] ?? '' });
  const lsn = phaseLsn(place.sample, place.phase);
  const reader = await TimelineView.open(storage, source, { lsn, redo: createValueRedo(major) });
  const { metadata } = source.index;
  const isEnd = lsn === metadata.diskConsistentLsn && hasPrevRecord(metadata);
  try {
    const tar = writeBackup({
      reader,
      prevLsn: isEnd ? metadata.prevRecordLsn : undefined,
      now: new Date(0),
      ...options,
    });
    const members = new Map<string, Member & { readonly bytes: Buffer }>();
    for await (const entry of readTar(options.gzip ? decompress(tar, 'gzip') : tar)) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry.body) chunks.push(Buffer.from(chunk));
      const bytes = Buffer.concat(chunks);
      const digest =
        entry.kind === 'file' ? createHash('sha256').update(bytes).digest('hex').slice(0, 32) : '';
      const kind = entry.kind === 'directory' ? 'directory' : 'file';
      members.set(entry.path, {
        path: entry.path,
        kind,
        size: entry.sizeBytes,
        mode: entry.mode,
        digest,
        bytes,
      });
    }
    return members;
  } finally {
    reader.close();
  }
}

const plain = (members: Iterable<Member>, keep: (path: string) => boolean) =>
  [...members]
    .filter(({ path }) => keep(path))
    .map(({ path, kind, size, mode, digest }) => ({ path, kind, size, mode, digest }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));

const POINTS = [
  { sample: 'pg14', timeline: 'main', phase: 'base' },
  { sample: 'pg15', timeline: 'main', phase: 'base' },
  { sample: 'pg16', timeline: 'main', phase: 'base' },
  { sample: 'pg16', timeline: 'main', phase: 'p1' },
  { sample: 'pg16', timeline: 'main', phase: 'p3' },
  { sample: 'pg16', timeline: 'branch', phase: 'p2' },
  { sample: 'pg17', timeline: 'main', phase: 'base' },
  { sample: 'pg17', timeline: 'main', phase: 'p2' },
] as const;

describe.runIf(HAS_SAMPLES)(`backups of timelines of a real page server${SAMPLES_NOTE}`, () => {
  test.each(POINTS)(
    'the base backup of $sample $timeline at $phase is what the page server sent',
    async (place) => {
      const keep = (path: string) => !OTHER_CONTENT.has(path);
      const members = await takeBackup(place, { kind: 'base' });
      const expected = expectedMembers(place.sample, `basebackup-${place.timeline}-${place.phase}`);
      expect(plain(members.values(), keep)).toEqual(plain(expected, keep));
      expect(members.has('pg_hba.conf')).toBe(true);
    },
  );

  test.each(POINTS)(
    'the full backup of $sample $timeline at $phase has the same files, and a checkpoint for stock Postgres',
    async (place) => {
      const hasChecksums = place.sample === 'pg17';
      const isRelation = (path: string) => /^(?:global|base\/\d+)\/\d+/.test(path);
      const keep = (path: string) => !OTHER_CONTENT.has(path) && !STOCK_ONLY.test(path);
      const members = await takeBackup(place, { kind: 'full' });
      const expected = expectedMembers(place.sample, `fullbackup-${place.timeline}-${place.phase}`);
      // Pages of relations get the checksums that stock Postgres wants.
      const comparable = (each: Member) =>
        hasChecksums && isRelation(each.path) ? { ...each, digest: '' } : each;
      expect(plain(members.values(), keep).map(comparable)).toEqual(plain(expected, keep).map(comparable));
      const control = decodeControlFile(members.get('global/pg_control')?.bytes ?? Buffer.alloc(0));
      expect(control.checkPoint).toBeGreaterThanOrEqual(phaseLsn(place.sample, place.phase));
      expect(control.checkPoint).toBe(control.checkPointCopy.redo);
    },
  );

  test('compressed and for a replica it has the same members', async () => {
    const place = { sample: 'pg16', timeline: 'main', phase: 'p1' };
    const whole = await takeBackup(place, { kind: 'base' });
    const compressed = await takeBackup(place, { kind: 'base', replica: true, gzip: true });
    expect([...compressed.keys()]).toEqual(
      [...whole.keys()].filter((path) => !path.startsWith('pg_replslot/')),
    );
  });
});
