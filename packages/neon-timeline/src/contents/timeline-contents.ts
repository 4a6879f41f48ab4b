/** What a timeline holds at an LSN besides pages: what its directories list, and all that is no page. */
import {
  type AuxFile,
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  decodeAuxFiles,
  decodeReplOriginValue,
  parseKey,
  relMapKey,
  SPARSE_KEYS_END,
  SPARSE_KEYS_START,
  twoPhaseFileKey,
} from '@neon-snapshot/neon-layer';
import type { ReplicationOrigin } from '@neon-snapshot/postgres';
import { type ContentsReader, type ReadContentsOptions, RequiredValues } from './required-values.ts';
import {
  type ListedDatabase,
  readTimelineDirectories,
  type SlruSegmentSize,
} from './timeline-directories.ts';

export interface TimelineDatabase extends ListedDatabase {
  /** `pg_filenode.map`; undefined for a database whose pages came before it. */
  readonly relationMap: Uint8Array | undefined;
}

export interface TimelineContents {
  readonly controlFile: Uint8Array;
  readonly checkpoint: Uint8Array;
  /** By tablespace and database. */
  readonly databases: readonly TimelineDatabase[];
  /** In key order. */
  readonly slruSegments: readonly SlruSegmentSize[];
  /** By transaction id. */
  readonly preparedTransactions: readonly { readonly xid: bigint; readonly state: Uint8Array }[];
  readonly auxFiles: readonly AuxFile[];
  readonly replicationOrigins: readonly ReplicationOrigin[];
}

/** Reads no page. Throws `TIMELINE_INCOMPLETE`, `TIMELINE_INVALID_CONTENTS`, and what decoders of neon-layer throw. */
export async function readTimelineContents(
  reader: ContentsReader,
  options: ReadContentsOptions = {},
): Promise<TimelineContents> {
  const values = new RequiredValues(reader, options);
  const { databases, slruSegments, preparedXids } = await readTimelineDirectories(reader, options);
  const mapped = databases.filter(({ hasRelationMap }) => hasRelationMap);
  const maps = await values.each(mapped, ({ spcNode, dbNode }) => relMapKey(spcNode, dbNode));
  const mapOf = new Map(maps.map(({ item, value }) => [item, value]));
  const states = await values.each(preparedXids, twoPhaseFileKey);
  return {
    controlFile: await values.one(CONTROL_FILE_KEY),
    checkpoint: await values.one(CHECKPOINT_KEY),
    databases: databases.map((database) => ({ ...database, relationMap: mapOf.get(database) })),
    slruSegments,
    preparedTransactions: states.map(({ item: xid, value: state }) => ({ xid, state })),
    ...(await readSparseValues(reader, options)),
  };
}

/** Aux files and replication origins, which no directory lists. */
async function readSparseValues(
  reader: ContentsReader,
  options: ReadContentsOptions,
): Promise<Pick<TimelineContents, 'auxFiles' | 'replicationOrigins'>> {
  const auxFiles: AuxFile[] = [];
  const replicationOrigins: ReplicationOrigin[] = [];
  for await (const entries of reader.scan({ start: SPARSE_KEYS_START, end: SPARSE_KEYS_END }, options)) {
    for (const { key, value } of entries) {
      const parsed = parseKey(key);
      if (parsed.kind === 'aux-file') auxFiles.push(...decodeAuxFiles(value));
      if (parsed.kind !== 'replication-origin') continue;
      const remoteLsn = decodeReplOriginValue(value);
      if (remoteLsn !== undefined) replicationOrigins.push({ id: parsed.originId, remoteLsn });
    }
  }
  return { auxFiles, replicationOrigins };
}
