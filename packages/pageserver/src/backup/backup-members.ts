/** The members of `basebackup` and `fullbackup`, in the order of Neon's page server (basebackup.rs). */
import type { TimelineReader } from '@neon-snapshot/neon-layer';
import { type RelationFork, readTimelineContents, type TimelineContents } from '@neon-snapshot/neon-timeline';
import {
  assertPostgresMajor,
  BLCKSZ,
  DEFAULT_TABLESPACE_OID,
  decodeControlFile,
  encodeReplicationOrigins,
  encodeTwoPhaseFile,
  formatLsn,
  formatRelationPath,
  formatTwoPhasePath,
  GLOBAL_TABLESPACE_OID,
  type Lsn,
  RELMAP_SIZE,
  RELSEG_BLOCKS,
  REPLICATION_ORIGINS_PATH,
  type RelTag,
} from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';
import { type BackupMember, directory, file, fixedMembers, textFile, versionText } from './fixed-files.ts';
import { PageCursor } from './page-cursor.ts';
import { slruMembers } from './slru-members.ts';
import { computeWalStart, isCleanShutdown, stockWalStart, type WalStartOptions } from './wal-start.ts';

export interface BackupOptions {
  readonly reader: TimelineReader;
  /** `full`: every relation, to be started by stock Postgres. `base`: for a Neon compute, which gets its pages from the page server. */
  readonly kind: 'base' | 'full';
  /** The record that ends at the LSN begins here; `none` where nothing precedes it, undefined where it is not known. */
  readonly prevLsn: Lsn | 'none' | undefined;
  /** For a read-only compute: without replication slots. */
  readonly replica?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const INIT_FORK = 3;
const MAIN_FORK = 0;
const STATISTICS_FILE = 'pg_stat/pgstat.stat';
const SLOT_DIRECTORY = 'pg_replslot/';
/** `restart_lsn` in the state file of a slot. */
const SLOT_RESTART_LSN_OFFSET = 96;

type Database = TimelineContents['databases'][number];

export async function* backupMembers(options: BackupOptions): AsyncGenerator<BackupMember, void, void> {
  const { reader, kind } = options;
  const major = reader.source.index.metadata.postgresMajor;
  const contents = await readTimelineContents(reader, options);
  const prevLsn = options.prevLsn === 'none' ? undefined : options.prevLsn;
  const walOptions: WalStartOptions = { ...contents, major, lsn: reader.lsn, prevLsn };
  yield* fixedMembers(major, kind === 'full' ? 'stock' : 'compute');
  yield* slruMembers(contents.slruSegments, options);
  yield* databaseMembers(contents, { ...options, major });
  yield* auxMembers(contents, { replica: options.replica ?? false, clean: isCleanShutdown(walOptions) });
  for (const { xid, state } of contents.preparedTransactions)
    yield file(formatTwoPhasePath(xid, major), encodeTwoPhaseFile(state));
  const { replicationOrigins: origins } = contents;
  if (origins.length > 0) yield file(REPLICATION_ORIGINS_PATH, encodeReplicationOrigins(origins));
  const signal = `PREV LSN: ${signalText(options.prevLsn)}`;
  yield* [textFile('neon.signal', signal), textFile('zenith.signal', signal)];
  const walStart = kind === 'full' ? stockWalStart(walOptions) : computeWalStart(walOptions);
  yield file('global/pg_control', walStart.controlFile);
  for (const { fileName, bytes } of walStart.segments) yield file(`pg_wal/${fileName}`, bytes);
}

function signalText(prevLsn: BackupOptions['prevLsn']): string {
  if (prevLsn === undefined) return 'invalid';
  return prevLsn === 'none' ? 'none' : formatLsn(prevLsn);
}

async function* databaseMembers(
  contents: TimelineContents,
  options: BackupOptions & { readonly major: number },
): AsyncGenerator<BackupMember, void, void> {
  const { reader, kind, signal } = options;
  const databases = contents.databases.filter(
    ({ relationMap, forks }) => relationMap !== undefined || forks.length > 0,
  );
  for (const database of databases) assertTablespace(database);
  const files = databases.map((database) => ({ database, forks: forksToSend(database, kind) }));
  const cursor = new PageCursor({
    reader,
    forks: files.flatMap(({ forks }) => forks.map(({ source }) => source)),
    checksums: decodeControlFile(contents.controlFile).dataChecksumVersion === 1,
    signal,
  });
  for (const { database, forks } of files) {
    yield* databaseHead(database, options.major);
    for (const { tag, source } of forks) yield* forkMembers(tag, source.blockCount, cursor);
  }
}

/** A file and the fork that its pages come from. */
interface ForkFile {
  readonly tag: RelTag;
  readonly source: RelationFork;
}

/** The init fork of an unlogged relation stands in for its main fork too: that empties it. */
function forksToSend({ forks }: Database, kind: BackupOptions['kind']): ForkFile[] {
  const unlogged = new Set(forks.flatMap(({ tag }) => (tag.forkNum === INIT_FORK ? [tag.relNode] : [])));
  return forks.flatMap((source): ForkFile[] => {
    const { tag } = source;
    if (tag.forkNum === INIT_FORK)
      return [
        { tag, source },
        { tag: { ...tag, forkNum: MAIN_FORK }, source },
      ];
    if (kind === 'base' || (tag.forkNum === MAIN_FORK && unlogged.has(tag.relNode))) return [];
    return [{ tag, source }];
  });
}

function* databaseHead({ spcNode, dbNode, relationMap }: Database, major: number): Generator<BackupMember> {
  const isGlobal = spcNode === GLOBAL_TABLESPACE_OID;
  const folder = isGlobal ? 'global' : `base/${dbNode}`;
  if (!isGlobal) yield directory(folder);
  if (relationMap === undefined) return;
  const expected = RELMAP_SIZE[assertPostgresMajor(major)];
  if (relationMap.length !== expected) throw wrongRelationMap(folder, relationMap.length, expected);
  yield textFile(isGlobal ? 'PG_VERSION' : `${folder}/PG_VERSION`, versionText(major));
  yield file(`${folder}/pg_filenode.map`, relationMap);
}

/** One file a gigabyte; an empty fork is an empty file. */
function* forkMembers(tag: RelTag, blockCount: number, cursor: PageCursor): Generator<BackupMember> {
  for (let start = 0, segno = 0; segno === 0 || start < blockCount; segno++, start += RELSEG_BLOCKS) {
    const count = Math.min(RELSEG_BLOCKS, blockCount - start);
    yield {
      kind: 'file',
      path: formatRelationPath(tag, segno),
      sizeBytes: count * BLCKSZ,
      body: cursor.take(count),
    };
  }
}

function* auxMembers(
  { auxFiles }: TimelineContents,
  options: { readonly replica: boolean; readonly clean: boolean },
): Generator<BackupMember> {
  let restartLsn: bigint | undefined;
  for (const { path, content } of auxFiles) {
    const isSlot = path.startsWith(SLOT_DIRECTORY);
    if (path === REPLICATION_ORIGINS_PATH || (isSlot && options.replica)) continue;
    if (path === STATISTICS_FILE && !options.clean) continue;
    if (isSlot && content.length >= SLOT_RESTART_LSN_OFFSET + 8) {
      const lsn = new DataView(content.buffer, content.byteOffset).getBigUint64(
        SLOT_RESTART_LSN_OFFSET,
        true,
      );
      if (restartLsn === undefined || lsn < restartLsn) restartLsn = lsn;
    }
    yield file(path, content);
  }
  if (restartLsn === undefined) return;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, restartLsn, true);
  yield file('restart.lsn', bytes);
}

function assertTablespace({ spcNode, dbNode }: Database): void {
  if (spcNode === DEFAULT_TABLESPACE_OID || spcNode === GLOBAL_TABLESPACE_OID) return;
  throw new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'backup',
    message: `database ${dbNode} has relations in tablespace ${spcNode}, which a backup cannot hold`,
    context: { spcNode, dbNode },
  });
}

function wrongRelationMap(folder: string, found: number, expected: number): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'backup',
    message: `the relation map of ${folder} has ${found} bytes, expected ${expected}`,
    context: { folder, found, expected },
  });
}
