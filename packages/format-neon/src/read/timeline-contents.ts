/** What a timeline holds at an LSN besides pages: databases, relations with their sizes, transactions, control data. */
import { FormatError } from '@neon-snapshot/format-core';
import {
  type AuxFile,
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  DBDIR_KEY,
  type DbDirectoryEntry,
  decodeAuxFiles,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeReplOriginValue,
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  parseKey,
  relDirKey,
  relMapKey,
  relSizeKey,
  SLRU_KINDS,
  SPARSE_KEYS_END,
  SPARSE_KEYS_START,
  slruDirKey,
  slruSizeKey,
  type TimelineReader,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from '@neon-snapshot/neon-layer';
import { compareRelTags, type ForkNumber, type RelTag, type SlruKind } from '@neon-snapshot/postgres';
import type { ReplicationOrigin } from '../replication-origins.ts';

export interface RelationFork {
  readonly tag: RelTag;
  readonly blocks: number;
}

export interface TimelineDatabase {
  readonly spcNode: number;
  readonly dbNode: number;
  /** `pg_filenode.map`. */
  readonly relationMap: Uint8Array | undefined;
  /** In key order. */
  readonly forks: readonly RelationFork[];
}

export interface TimelineContents {
  readonly controlFile: Uint8Array;
  readonly checkpoint: Uint8Array;
  readonly databases: readonly TimelineDatabase[];
  readonly slruSegments: readonly {
    readonly slru: SlruKind;
    readonly segno: number;
    readonly blocks: number;
  }[];
  readonly preparedTransactions: readonly { readonly xid: bigint; readonly state: Uint8Array }[];
  readonly auxFiles: readonly AuxFile[];
  readonly replicationOrigins: readonly ReplicationOrigin[];
}

export interface TimelineContentsSource {
  readonly view: TimelineReader;
  readonly postgresMajor: number;
  readonly signal?: AbortSignal | undefined;
}

/** Throws `FORMAT_INVALID` where a directory names what is not there. */
export async function readTimelineContents(source: TimelineContentsSource): Promise<TimelineContents> {
  const values = new ValueReader(source);
  const [controlFile, checkpoint] = await values.all([CONTROL_FILE_KEY, CHECKPOINT_KEY]);
  const { relationTags, ...sparse } = await readSparseValues(source);
  return {
    controlFile: assertThere(controlFile, 'the control file'),
    checkpoint: assertThere(checkpoint, 'the checkpoint'),
    databases: await readDatabases(values, usesNewRelationDirectory(source.view) ? relationTags : undefined),
    slruSegments: await readSlruSegments(values),
    preparedTransactions: await readPreparedTransactions(values, source.postgresMajor),
    ...sparse,
  };
}

/** From this point of the timeline on, relations are listed by keys of their own (spec: `rel_size_migration`). */
export function usesNewRelationDirectory({ source, lsn }: TimelineReader): boolean {
  const { relSizeMigration, relSizeMigratedAt } = source.index;
  return relSizeMigration === 'migrated' && (relSizeMigratedAt === undefined || lsn >= relSizeMigratedAt);
}

async function readDatabases(
  values: ValueReader,
  listedTags: readonly RelTag[] | undefined,
): Promise<TimelineDatabase[]> {
  const entries = decodeDbDirectory(await values.one(DBDIR_KEY, 'the directory of databases'));
  const databases = entries.toSorted((a, b) => a.spcNode - b.spcNode || a.dbNode - b.dbNode);
  const maps = await readRelationMaps(values, databases);
  const byDatabase = Map.groupBy(listedTags ?? (await readRelationTags(values, databases)), databaseKey);
  const read: TimelineDatabase[] = [];
  for (const database of databases) {
    const { spcNode, dbNode } = database;
    const forks = await readForks(
      values,
      (byDatabase.get(databaseKey(database)) ?? []).toSorted(compareRelTags),
    );
    read.push({ spcNode, dbNode, relationMap: maps.get(databaseKey(database)), forks });
  }
  return read;
}

type DatabaseId = Pick<TimelineDatabase, 'spcNode' | 'dbNode'>;

function databaseKey({ spcNode, dbNode }: DatabaseId): string {
  return `${spcNode}/${dbNode}`;
}

async function readRelationMaps(
  values: ValueReader,
  databases: readonly DbDirectoryEntry[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const mapped = databases.filter(({ hasRelationMap }) => hasRelationMap);
  const maps = await values.each(mapped, {
    keyOf: ({ spcNode, dbNode }) => relMapKey(spcNode, dbNode),
    nameOf: (database) => `the relation map of ${databaseKey(database)}`,
  });
  return new Map(maps.map(({ item, value }) => [databaseKey(item), value]));
}

/** All relation forks, from the directory that each database has. */
async function readRelationTags(values: ValueReader, databases: readonly DatabaseId[]): Promise<RelTag[]> {
  const directories = await values.each(databases, {
    keyOf: ({ spcNode, dbNode }) => relDirKey(spcNode, dbNode),
    nameOf: (database) => `the relation directory of ${databaseKey(database)}`,
  });
  return directories.flatMap(({ item: { spcNode, dbNode }, value }) =>
    decodeRelDirectory(value).map(({ relNode, forkNum }) => ({
      spcNode,
      dbNode,
      relNode,
      forkNum: toForkNumber(forkNum),
    })),
  );
}

async function readForks(values: ValueReader, tags: readonly RelTag[]): Promise<RelationFork[]> {
  const sizes = await values.each(tags, {
    keyOf: relSizeKey,
    nameOf: ({ spcNode, dbNode, relNode, forkNum }) =>
      `the size of relation ${spcNode}/${dbNode}/${relNode} fork ${forkNum}`,
  });
  return sizes.map(({ item: tag, value }) => ({ tag, blocks: decodeSizeValue(value) }));
}

function toForkNumber(forkNum: number): ForkNumber {
  if (forkNum === 0 || forkNum === 1 || forkNum === 2 || forkNum === 3) return forkNum;
  throw invalid(`A relation directory names fork ${forkNum}; forks are 0 to 3`);
}

async function readSlruSegments(values: ValueReader): Promise<TimelineContents['slruSegments']> {
  const segments: { readonly slru: SlruKind; readonly segno: number; readonly blocks: number }[] = [];
  for (const slru of SLRU_KINDS) {
    const directory = await values.one(slruDirKey(slru), `the segment directory of ${slru}`);
    const segnos = decodeSlruSegmentDirectory(directory).toSorted((a, b) => a - b);
    const sizes = await values.each(segnos, {
      keyOf: (segno) => slruSizeKey(slru, segno),
      nameOf: (segno) => `the size of ${slru} segment ${segno}`,
    });
    for (const { item: segno, value } of sizes)
      segments.push({ slru, segno, blocks: decodeSizeValue(value) });
  }
  return segments;
}

async function readPreparedTransactions(
  values: ValueReader,
  postgresMajor: number,
): Promise<TimelineContents['preparedTransactions']> {
  const directory = await values.one(TWO_PHASE_DIRECTORY_KEY, 'the directory of prepared transactions');
  const xids = decodeTwoPhaseDirectory(directory, postgresMajor).toSorted((a, b) => (a < b ? -1 : 1));
  const states = await values.each(xids, {
    keyOf: twoPhaseFileKey,
    nameOf: (xid) => `the state of prepared transaction ${xid}`,
  });
  return states.map(({ item: xid, value: state }) => ({ xid, state }));
}

interface SparseValues extends Pick<TimelineContents, 'auxFiles' | 'replicationOrigins'> {
  readonly relationTags: readonly RelTag[];
}

async function readSparseValues({ view, signal }: TimelineContentsSource): Promise<SparseValues> {
  const relationTags: RelTag[] = [];
  const auxFiles: AuxFile[] = [];
  const replicationOrigins: ReplicationOrigin[] = [];
  for await (const batch of view.scan({ start: SPARSE_KEYS_START, end: SPARSE_KEYS_END }, { signal })) {
    for (const { key, value } of batch) {
      const parsed = parseKey(key);
      if (parsed.kind === 'aux-file') auxFiles.push(...decodeAuxFiles(value));
      if (parsed.kind === 'relation-directory-v2') relationTags.push(parsed.tag);
      if (parsed.kind !== 'replication-origin') continue;
      const remoteLsn = decodeReplOriginValue(value);
      if (remoteLsn !== undefined) replicationOrigins.push({ id: parsed.originId, remoteLsn });
    }
  }
  return { relationTags, auxFiles, replicationOrigins };
}

/** Reads values of keys that have to exist. */
class ValueReader {
  readonly #source: TimelineContentsSource;

  constructor(source: TimelineContentsSource) {
    this.#source = source;
  }

  async all(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    const { view, signal } = this.#source;
    return view.getMany(keys, { signal });
  }

  async one(key: Uint8Array, name: string): Promise<Uint8Array> {
    const [value] = await this.all([key]);
    return assertThere(value, name);
  }

  /** One value for each item; the items' keys ascend. */
  async each<Item>(
    items: readonly Item[],
    {
      keyOf,
      nameOf,
    }: { readonly keyOf: (item: Item) => Uint8Array; readonly nameOf: (item: Item) => string },
  ): Promise<{ readonly item: Item; readonly value: Uint8Array }[]> {
    const values = await this.all(items.map(keyOf));
    return items.map((item, index) => ({ item, value: assertThere(values[index], nameOf(item)) }));
  }
}

function assertThere(value: Uint8Array | undefined, name: string): Uint8Array {
  if (value !== undefined) return value;
  throw invalid(`The timeline has no value for ${name} at this LSN; its layers are incomplete`);
}

function invalid(message: string): FormatError {
  return new FormatError({ code: 'FORMAT_INVALID', operation: 'read timeline', message });
}
