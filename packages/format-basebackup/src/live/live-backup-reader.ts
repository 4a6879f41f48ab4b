import { TAR_END_SIZE } from '@neon-snapshot/archive';
import {
  type EndEntry,
  FormatError,
  fileFault,
  type SnapshotEntry,
  type SnapshotInfo,
  type SnapshotPartition,
  type SnapshotReader,
  type SnapshotTrailer,
  withEnd,
} from '@neon-snapshot/format-core';
import {
  type BackupManifest,
  isPostgresFormatError,
  lsn,
  MANIFEST_SIZE_MAX,
  parseBackupManifest,
  walSegmentNumber,
  walSegmentStart,
} from '@neon-snapshot/postgres';
import type {
  BaseBackup,
  BaseBackupArchive,
  PqConnection,
  TimelineHistoryFile,
  WalPosition,
} from '@neon-snapshot/pq-proto';
import { readAll } from '@neon-snapshot/storage-core';
import { ClusterRemains, clusterEntries } from '../cluster-entries.ts';
import {
  BACKUP_LABEL_PATH,
  CONTROL_FILE_PATH,
  MANIFEST_NAME,
  type TarRole,
  WAL_DIRECTORY,
} from '../layout.ts';
import { membersOf } from '../tar-members.ts';
import { UnloggedRelations } from '../unlogged.ts';
import { assertWalCovers } from '../wal-coverage.ts';
import { RecordedSums } from './recorded-sums.ts';
import { onServer, serverFault } from './server-fault.ts';
import { WalSegments } from './wal-segments.ts';

type Entry = Exclude<SnapshotEntry, EndEntry>;

export interface LiveBackupReaderOptions {
  readonly info: SnapshotInfo;
  readonly backup: BaseBackup;
  readonly connection: PqConnection;
  /** A second connection, which holds the slot. */
  readonly wal: PqConnection;
  readonly slot: string;
  /** Of a TimeLineID above 1. */
  readonly history: TimelineHistoryFile | undefined;
  /** For messages. */
  readonly url: string;
  readonly signal?: AbortSignal | undefined;
}

/** A base backup as the server sends it, and its WAL beside it. */
export class LiveBackupReader implements SnapshotReader {
  readonly info: SnapshotInfo;
  readonly #options: LiveBackupReaderOptions;
  readonly #remains = new ClusterRemains();
  readonly #sums = new RecordedSums();
  readonly #end = Promise.withResolvers<WalPosition>();
  /** Fires when the backup failed or was given up: the stream of WAL may be waiting for a quiet server. */
  readonly #abandoned = new AbortController();
  #manifest: BackupManifest | undefined;

  constructor(options: LiveBackupReaderOptions) {
    this.info = options.info;
    this.#options = options;
    this.#end.promise.catch(() => undefined);
  }

  partitions(countMax: number): readonly SnapshotPartition[] {
    if (countMax < 2) return [{ id: 'backup', entries: withEnd(this.#inTurn()) }];
    return [
      { id: 'backup', entries: withEnd(this.#clusterEntries()) },
      { id: 'wal', entries: withEnd(this.#walEntries()) },
    ];
  }

  async finish(): Promise<SnapshotTrailer> {
    const { url } = this.#options;
    const { controlFile, label, walNames } = this.#remains;
    if (this.#manifest === undefined) throw missing(url, MANIFEST_NAME);
    if (controlFile === undefined) throw missing(url, CONTROL_FILE_PATH);
    if (label === undefined) throw missing(url, BACKUP_LABEL_PATH);
    this.#sums.compareWith(this.#manifest, { url });
    const { walRanges } = this.#manifest;
    const { walSegmentSizeBytes } = this.info;
    assertWalCovers(walRanges, { names: walNames, walSegmentSizeBytes, url });
    return { controlFile, backup: { label, walRanges } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { backup, connection, wal } = this.#options;
    this.#abandoned.abort();
    await backup[Symbol.asyncDispose]();
    await wal[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]();
  }

  /** The slot keeps the WAL until the backup is through. */
  async *#inTurn(): AsyncGenerator<Entry, void, undefined> {
    yield* this.#clusterEntries();
    yield* this.#walEntries();
  }

  async *#clusterEntries(): AsyncGenerator<Entry, void, undefined> {
    const { backup } = this.#options;
    let isWhole = false;
    try {
      for await (const part of backup.parts()) {
        if (part.kind === 'archive') yield* this.#archiveEntries(part);
        else this.#manifest = await this.#parseManifest(part.data);
      }
      this.#end.resolve(await backup.finish());
      isWhole = true;
    } catch (error) {
      throw serverFault(error, 'take base backup');
    } finally {
      if (!isWhole) {
        this.#end.reject(new Error('the base backup did not come to its end'));
        this.#abandoned.abort();
      }
    }
  }

  async *#archiveEntries(archive: BaseBackupArchive): AsyncGenerator<Entry, void, undefined> {
    const { tablespaceOid: oid, name } = archive;
    const role: TarRole = oid === undefined ? { kind: 'base' } : { kind: 'tablespace', oid };
    const { signal, url } = this.#options;
    const tar = received(archive.data, { hasEndMark: this.info.postgresMajor >= END_MARK_SINCE_MAJOR });
    yield* clusterEntries(membersOf(tar, { key: name, url, freesChunks: false, signal }), {
      role,
      check: this.#sums,
      remains: this.#remains,
      unlogged: NONE_UNLOGGED,
    });
  }

  async *#walEntries(): AsyncGenerator<Entry, void, undefined> {
    const { wal, slot, history, backup, signal } = this.#options;
    const { walSegmentSizeBytes: segmentSizeBytes } = this.info;
    if (history !== undefined) yield historyEntry(history);
    const { timeLineId, lsn: position } = backup.start;
    const startLsn = walSegmentStart(walSegmentNumber(lsn(position), segmentSizeBytes), segmentSizeBytes);
    const either = signal === undefined ? [] : [signal];
    await using stream = await onServer('stream WAL', () =>
      wal.startPhysicalReplication({
        startLsn,
        timeLineId,
        slot,
        signal: AbortSignal.any([this.#abandoned.signal, ...either]),
      }),
    );
    const segments = new WalSegments({
      stream,
      startLsn,
      timeLineId,
      segmentSizeBytes,
      end: this.#end.promise,
    });
    for await (const entry of segments.entries()) {
      this.#remains.walNames.add(entry.path.slice(WAL_DIRECTORY.length + 1));
      yield entry;
    }
  }

  async #parseManifest(data: AsyncIterable<Uint8Array>): Promise<BackupManifest> {
    const bytes = await readAll(data, { sizeMaxBytes: MANIFEST_SIZE_MAX, key: MANIFEST_NAME });
    try {
      return parseBackupManifest(bytes);
    } catch (error) {
      if (isPostgresFormatError(error))
        throw fileFault(error, { path: MANIFEST_NAME, url: this.#options.url });
      throw error;
    }
  }
}

/** A server sends no other forks of unlogged relations. */
const NONE_UNLOGGED = new UnloggedRelations([]);

/** Up to 14 the client is left to add the end mark of a tar; that an archive is whole is said by the protocol. */
const END_MARK_SINCE_MAJOR = 15;

async function* received(
  data: AsyncIterable<Uint8Array>,
  { hasEndMark }: { readonly hasEndMark: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* data;
    if (!hasEndMark) yield new Uint8Array(TAR_END_SIZE);
  } catch (error) {
    throw serverFault(error, 'take base backup');
  }
}

function historyEntry({ name, content }: TimelineHistoryFile): Entry {
  return {
    kind: 'file',
    path: `${WAL_DIRECTORY}/${name}`,
    sizeBytes: content.length,
    body: only(content),
  };
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.length > 0) yield bytes;
}

function missing(url: string, path: string): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'finish base backup',
    message: `${url} sent no ${path}; the backup is incomplete`,
    context: { path },
  });
}
