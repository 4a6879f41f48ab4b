/** What a timeline holds at an LSN besides the pages of relations, as far as a backup needs it. */
import {
  type AuxFile,
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  DBDIR_KEY,
  type DbDirectoryEntry,
  decodeAuxFiles,
  decodeDbDirectory,
  decodeReplOriginValue,
  describeKey,
  parseKey,
  relMapKey,
  SPARSE_KEYS_END,
  SPARSE_KEYS_START,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import { compareRelTags, type Lsn, type RelTag, type SlruKind } from '@neon-snapshot/postgres';
import { collectKeyspace } from '../compaction/keyspace.ts';
import { PageServerError } from '../page-server-error.ts';

export interface BackupFork {
  readonly tag: RelTag;
  readonly blockCount: number;
}

export interface BackupDatabase extends DbDirectoryEntry {
  readonly relationMap: Uint8Array | undefined;
  readonly forks: readonly BackupFork[];
}

export interface BackupContents {
  readonly controlFile: Uint8Array;
  readonly checkpoint: Uint8Array;
  readonly databases: readonly BackupDatabase[];
  readonly slruSegments: readonly {
    readonly slru: SlruKind;
    readonly segno: number;
    readonly blockCount: number;
  }[];
  readonly preparedTransactions: readonly { readonly xid: bigint; readonly state: Uint8Array }[];
  readonly auxFiles: readonly AuxFile[];
  readonly replicationOrigins: readonly { readonly originId: number; readonly remoteLsn: Lsn }[];
}

export async function readBackupContents(
  reader: TimelineReader,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<BackupContents> {
  const keyspace = await collectKeyspace(reader, options);
  const forks = new Map<string, BackupFork>();
  const segments = new Map<string, BackupContents['slruSegments'][number]>();
  const xids: { readonly xid: bigint; readonly key: Uint8Array }[] = [];
  for (const { key, count } of keyspace) {
    const parsed = parseKey(key);
    switch (parsed.kind) {
      // An empty fork has a size and no block.
      case 'relation-size':
        if (!forks.has(tagId(parsed.tag))) forks.set(tagId(parsed.tag), { tag: parsed.tag, blockCount: 0 });
        break;
      case 'relation-block':
        forks.set(tagId(parsed.tag), { tag: parsed.tag, blockCount: count });
        break;
      case 'slru-size':
        if (!segments.has(slruId(parsed))) segments.set(slruId(parsed), { ...parsed, blockCount: 0 });
        break;
      case 'slru-block':
        segments.set(slruId(parsed), { ...parsed, blockCount: count });
        break;
      case 'two-phase-file':
        xids.push({ xid: parsed.xid, key });
    }
  }
  const one = async (key: Uint8Array) => (await reader.get(key, options)) ?? missing(key);
  return {
    controlFile: await one(CONTROL_FILE_KEY),
    checkpoint: await one(CHECKPOINT_KEY),
    databases: await readDatabases(reader, [...forks.values()], options),
    slruSegments: [...segments.values()],
    preparedTransactions: await Promise.all(
      xids.map(async ({ xid, key }) => ({ xid, state: await one(key) })),
    ),
    ...(await readSparse(reader, options)),
  };
}

async function readDatabases(
  reader: TimelineReader,
  forks: readonly BackupFork[],
  options: { readonly signal?: AbortSignal | undefined },
): Promise<BackupDatabase[]> {
  const directory = (await reader.get(DBDIR_KEY, options)) ?? missing(DBDIR_KEY);
  const byDatabase = Map.groupBy(forks, ({ tag }) => databaseId(tag));
  const databases: BackupDatabase[] = [];
  for (const entry of decodeDbDirectory(directory)) {
    const key = relMapKey(entry.spcNode, entry.dbNode);
    databases.push({
      ...entry,
      relationMap: entry.hasRelationMap ? ((await reader.get(key, options)) ?? missing(key)) : undefined,
      forks: (byDatabase.get(databaseId(entry)) ?? []).toSorted((a, b) => compareRelTags(a.tag, b.tag)),
    });
  }
  return databases.sort((a, b) => a.spcNode - b.spcNode || a.dbNode - b.dbNode);
}

/** Aux files and replication origins, which no directory lists. */
async function readSparse(
  reader: TimelineReader,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Pick<BackupContents, 'auxFiles' | 'replicationOrigins'>> {
  const auxFiles: AuxFile[] = [];
  const replicationOrigins: BackupContents['replicationOrigins'][number][] = [];
  for await (const group of reader.scan({ start: SPARSE_KEYS_START, end: SPARSE_KEYS_END }, options)) {
    for (const { key, value } of group) {
      const parsed = parseKey(key);
      if (parsed.kind === 'aux-file') auxFiles.push(...decodeAuxFiles(value));
      if (parsed.kind !== 'replication-origin') continue;
      const remoteLsn = decodeReplOriginValue(value);
      if (remoteLsn !== undefined) replicationOrigins.push({ originId: parsed.originId, remoteLsn });
    }
  }
  return { auxFiles, replicationOrigins };
}

function tagId({ spcNode, dbNode, relNode, forkNum }: RelTag): string {
  return `${spcNode}/${dbNode}/${relNode}/${forkNum}`;
}

function databaseId({ spcNode, dbNode }: Pick<RelTag, 'spcNode' | 'dbNode'>): string {
  return `${spcNode}/${dbNode}`;
}

function slruId({ slru, segno }: { readonly slru: SlruKind; readonly segno: number }): string {
  return `${slru}/${segno}`;
}

function missing(key: Uint8Array): never {
  throw new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'backup',
    message: `the timeline has no value for ${describeKey(key)}; its layers are incomplete`,
  });
}
