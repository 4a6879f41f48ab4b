/**
 * Which keys a timeline has at an LSN (Neon's `collect_keyspace`): what its directories and sizes say. Blocks of dropped or truncated
 * relations are in layers, but not here: image layers leave them out, and so they end with the history behind it.
 */
import {
  AUX_FILES_V1_KEY,
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  compareKeys,
  DBDIR_KEY,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  describeKey,
  parseKey,
  relBlockKey,
  relDirKey,
  relMapKey,
  relSizeKey,
  SLRU_KINDS,
  SPARSE_KEYS_END,
  SPARSE_KEYS_START,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
  type TimelineReader,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from '@neon-snapshot/neon-layer';
import type { ForkNumber, RelTag } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';

/** Keys that differ in their last field, the block number, only: `count` of them from `key` on. */
export interface LiveKeys {
  readonly key: Uint8Array;
  /** At least 1. */
  readonly count: number;
  /** Set for the blocks of a relation fork. */
  readonly tag: RelTag | undefined;
}

/** The live keys below the sparse ones, ascending. */
export async function collectKeyspace(
  view: TimelineReader,
  options: CallOptions = {},
): Promise<readonly LiveKeys[]> {
  const reader = new Reader(view, options);
  const keys = [
    single(DBDIR_KEY),
    ...(await relationKeys(reader)),
    ...(await slruKeys(reader)),
    ...(await twoPhaseKeys(reader)),
    single(CONTROL_FILE_KEY),
    single(CHECKPOINT_KEY),
  ];
  const auxFiles = await reader.optional(AUX_FILES_V1_KEY);
  if (auxFiles !== undefined) keys.push(single(AUX_FILES_V1_KEY));
  return keys.sort((a, b) => compareKeys(a.key, b.key));
}

async function relationKeys(reader: Reader): Promise<LiveKeys[]> {
  const databases = decodeDbDirectory(await reader.one(DBDIR_KEY));
  const tags = usesNewRelationDirectory(reader.view) ? await newDirectoryTags(reader) : undefined;
  const keys: LiveKeys[] = [];
  for (const { spcNode, dbNode, hasRelationMap } of databases) {
    if (hasRelationMap) keys.push(single(relMapKey(spcNode, dbNode)));
    if (tags === undefined || (await reader.optional(relDirKey(spcNode, dbNode))) !== undefined)
      keys.push(single(relDirKey(spcNode, dbNode)));
    const own =
      tags?.filter((tag) => tag.spcNode === spcNode && tag.dbNode === dbNode) ??
      decodeRelDirectory(await reader.one(relDirKey(spcNode, dbNode))).map(({ relNode, forkNum }) => ({
        spcNode,
        dbNode,
        relNode,
        forkNum: toForkNumber(forkNum),
      }));
    const sizes = await reader.each(own.map((tag) => ({ of: tag, key: relSizeKey(tag) })));
    for (const { of: tag, value } of sizes)
      keys.push(...run(relBlockKey(tag, 0), decodeSizeValue(value), tag), single(relSizeKey(tag)));
  }
  return keys;
}

/** From this point of a timeline on, relations are listed by keys of their own (spec: `rel_size_migration`). */
function usesNewRelationDirectory({ source, lsn }: TimelineReader): boolean {
  const { relSizeMigration, relSizeMigratedAt } = source.index;
  return relSizeMigration === 'migrated' && (relSizeMigratedAt === undefined || lsn >= relSizeMigratedAt);
}

async function newDirectoryTags({ view, signal }: Reader): Promise<readonly RelTag[]> {
  const tags: RelTag[] = [];
  for await (const group of view.scan({ start: SPARSE_KEYS_START, end: SPARSE_KEYS_END }, { signal })) {
    for (const { key } of group) {
      const parsed = parseKey(key);
      if (parsed.kind === 'relation-directory-v2') tags.push(parsed.tag);
    }
  }
  return tags;
}

async function slruKeys(reader: Reader): Promise<LiveKeys[]> {
  const keys: LiveKeys[] = [];
  for (const slru of SLRU_KINDS) {
    const segnos = decodeSlruSegmentDirectory(await reader.one(slruDirKey(slru)));
    const sizes = await reader.each(segnos.map((segno) => ({ of: segno, key: slruSizeKey(slru, segno) })));
    keys.push(single(slruDirKey(slru)));
    for (const { of: segno, value } of sizes)
      keys.push(
        ...run(slruBlockKey(slru, segno, 0), decodeSizeValue(value)),
        single(slruSizeKey(slru, segno)),
      );
  }
  return keys;
}

async function twoPhaseKeys(reader: Reader): Promise<LiveKeys[]> {
  const { postgresMajor } = reader.view.source.index.metadata;
  const xids = decodeTwoPhaseDirectory(await reader.one(TWO_PHASE_DIRECTORY_KEY), postgresMajor);
  return [single(TWO_PHASE_DIRECTORY_KEY), ...xids.map((xid) => single(twoPhaseFileKey(xid)))];
}

function single(key: Uint8Array): LiveKeys {
  return { key, count: 1, tag: undefined };
}

function run(key: Uint8Array, count: number, tag?: RelTag): LiveKeys[] {
  return count === 0 ? [] : [{ key, count, tag }];
}

function toForkNumber(forkNum: number): ForkNumber {
  if (forkNum === 0 || forkNum === 1 || forkNum === 2 || forkNum === 3) return forkNum;
  throw invalidState(`a relation directory names fork ${forkNum}; forks are 0 to 3`);
}

/** Reads values that have to be there. */
class Reader {
  readonly view: TimelineReader;
  readonly signal: AbortSignal | undefined;

  constructor(view: TimelineReader, { signal }: CallOptions) {
    this.view = view;
    this.signal = signal;
  }

  async one(key: Uint8Array): Promise<Uint8Array> {
    const value = await this.view.get(key, { signal: this.signal });
    return value ?? missing(key);
  }

  /** An empty value is none. */
  async optional(key: Uint8Array): Promise<Uint8Array | undefined> {
    const value = await this.view.get(key, { signal: this.signal });
    return value?.length === 0 ? undefined : value;
  }

  /** The values of any number of keys, ascending by key. */
  async each<Of>(
    wanted: readonly { readonly of: Of; readonly key: Uint8Array }[],
  ): Promise<{ readonly of: Of; readonly value: Uint8Array }[]> {
    const ordered = wanted.toSorted((a, b) => compareKeys(a.key, b.key));
    const values = await this.view.getMany(
      ordered.map(({ key }) => key),
      { signal: this.signal },
    );
    return ordered.map(({ of, key }, i) => ({ of, value: values[i] ?? missing(key) }));
  }
}

function missing(key: Uint8Array): never {
  throw invalidState(`the timeline has no value for ${describeKey(key)}; its layers are incomplete`);
}

export function invalidState(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_INVALID_STATE', operation: 'compact', message });
}
