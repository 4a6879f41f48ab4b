/** What the directories of a timeline list at an LSN: databases, relations with their sizes, SLRU segments, prepared transactions. */
import {
  DBDIR_KEY,
  type DbDirectoryEntry,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  parseKey,
  relDirKey,
  relDirV2Key,
  relSizeKey,
  SLRU_KINDS,
  SPARSE_KEYS_END,
  slruDirKey,
  slruSizeKey,
  TWO_PHASE_DIRECTORY_KEY,
} from '@neon-snapshot/neon-layer';
import { compareRelTags, type ForkNumber, type RelTag, type SlruKind } from '@neon-snapshot/postgres';
import { TimelineError } from '../timeline-error.ts';
import { type ContentsReader, type ReadContentsOptions, RequiredValues } from './required-values.ts';

export interface RelationFork {
  readonly tag: RelTag;
  readonly blockCount: number;
}

export interface SlruSegmentSize {
  readonly slru: SlruKind;
  readonly segno: number;
  readonly blockCount: number;
}

export interface ListedDatabase extends DbDirectoryEntry {
  /** In key order. */
  readonly forks: readonly RelationFork[];
}

export interface TimelineDirectories {
  /** By tablespace and database. */
  readonly databases: readonly ListedDatabase[];
  /** In key order. */
  readonly slruSegments: readonly SlruSegmentSize[];
  /** Ascending. */
  readonly preparedXids: readonly bigint[];
}

/** Throws `TIMELINE_INCOMPLETE` where a directory or a size is not there, `TIMELINE_INVALID_CONTENTS` where a directory is wrong. */
export async function readTimelineDirectories(
  reader: ContentsReader,
  options: ReadContentsOptions = {},
): Promise<TimelineDirectories> {
  const values = new RequiredValues(reader, options);
  return {
    databases: await readDatabases(values),
    slruSegments: await readSlruSegments(values),
    preparedXids: await readPreparedXids(values),
  };
}

/** From this point of a timeline on, relations are listed by keys of their own (spec: `rel_size_migration`). */
export function usesNewRelationDirectory({ source, lsn }: Pick<ContentsReader, 'source' | 'lsn'>): boolean {
  const { relSizeMigration, relSizeMigratedAt } = source.index;
  return relSizeMigration === 'migrated' && (relSizeMigratedAt === undefined || lsn >= relSizeMigratedAt);
}

async function readDatabases(values: RequiredValues): Promise<ListedDatabase[]> {
  const databases = decodeDbDirectory(await values.one(DBDIR_KEY)).toSorted(
    (a, b) => a.spcNode - b.spcNode || a.dbNode - b.dbNode,
  );
  const tags = usesNewRelationDirectory(values.reader)
    ? await scanRelationTags(values)
    : await readRelationTags(values, databases);
  const byDatabase = Map.groupBy(tags, databaseId);
  const read: ListedDatabase[] = [];
  for (const database of databases) {
    const sizes = await values.each(byDatabase.get(databaseId(database)) ?? [], relSizeKey);
    const forks = sizes.map(({ item: tag, value }) => ({ tag, blockCount: decodeSizeValue(value) }));
    read.push({ ...database, forks: forks.sort((a, b) => compareRelTags(a.tag, b.tag)) });
  }
  return read;
}

function databaseId({ spcNode, dbNode }: Pick<RelTag, 'spcNode' | 'dbNode'>): string {
  return `${spcNode}/${dbNode}`;
}

/** From the directory that each database has. */
async function readRelationTags(
  values: RequiredValues,
  databases: readonly DbDirectoryEntry[],
): Promise<RelTag[]> {
  const directories = await values.each(databases, ({ spcNode, dbNode }) => relDirKey(spcNode, dbNode));
  return directories.flatMap(({ item: { spcNode, dbNode }, value }) =>
    decodeRelDirectory(value).map(({ relNode, forkNum }) => ({
      spcNode,
      dbNode,
      relNode,
      forkNum: toForkNumber(forkNum),
    })),
  );
}

async function scanRelationTags({ reader, signal }: RequiredValues): Promise<RelTag[]> {
  const start = relDirV2Key({ spcNode: 0, dbNode: 0, relNode: 0, forkNum: 0 });
  const tags: RelTag[] = [];
  for await (const entries of reader.scan({ start, end: SPARSE_KEYS_END }, { signal })) {
    for (const { key } of entries) {
      const parsed = parseKey(key);
      if (parsed.kind === 'relation-directory-v2') tags.push(parsed.tag);
    }
  }
  return tags;
}

function toForkNumber(forkNum: number): ForkNumber {
  if (forkNum === 0 || forkNum === 1 || forkNum === 2 || forkNum === 3) return forkNum;
  throw new TimelineError({
    code: 'TIMELINE_INVALID_CONTENTS',
    operation: 'read contents',
    message: `A relation directory names fork ${forkNum}; forks are 0 to 3`,
    context: { forkNum },
  });
}

async function readSlruSegments(values: RequiredValues): Promise<SlruSegmentSize[]> {
  const segments: SlruSegmentSize[] = [];
  for (const slru of SLRU_KINDS) {
    const segnos = decodeSlruSegmentDirectory(await values.one(slruDirKey(slru)));
    const sizes = await values.each(segnos, (segno) => slruSizeKey(slru, segno));
    for (const { item: segno, value } of sizes)
      segments.push({ slru, segno, blockCount: decodeSizeValue(value) });
  }
  return segments;
}

async function readPreparedXids(values: RequiredValues): Promise<bigint[]> {
  const { postgresMajor } = values.reader.source.index.metadata;
  const xids = decodeTwoPhaseDirectory(await values.one(TWO_PHASE_DIRECTORY_KEY), postgresMajor);
  return xids.toSorted((a, b) => (a < b ? -1 : 1));
}
