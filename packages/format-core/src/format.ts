import type { ManifestWalRange } from '@neon-snapshot/postgres';
import type { PluginIdentity, Storage } from '@neon-snapshot/storage-core';
import type { ProgressListener } from './progress.ts';
import type { PlannedFile, SnapshotInfo, SnapshotPartition } from './snapshot.ts';
import type { OpenStockRedoRequest, StockRedo } from './stock-redo.ts';
import type { VerifyContext, VerifyReport } from './verification.ts';
import type { LeaseRequest, WriteLease } from './write-lease.ts';

/** What a `format-*` package exports as `plugin`. */
export interface FormatPlugin extends PluginIdentity {
  readonly kind: 'format';
  /** Name for `--snapshot_format`. */
  readonly name: string;
  readonly capability: FormatCapability;
  readonly readOptions: readonly FormatOptionDescription[];
  readonly writeOptions: readonly FormatOptionDescription[];
  /** Is there a snapshot of this format at the location? Reads a handful of small objects at most. */
  detect(storage: Storage, options?: { readonly signal?: AbortSignal | undefined }): Promise<Detection>;
  /** Opens the snapshot. Reads its facts and its plan, no relation file. Errors: `FormatError`, `StorageError`. */
  openReader(context: ReadContext): Promise<SnapshotReader>;
  /** URL schemes of running servers that it takes snapshots of, lower case, without `:`; then there is {@link openLiveReader}. */
  readonly liveSchemes?: readonly string[];
  /** Options of {@link openLiveReader}. */
  readonly liveOptions?: readonly FormatOptionDescription[];
  /**
   * Begins a snapshot of a running server, which ends when the reader is finished or disposed. What is known last is in the
   * trailer. Errors: `FormatError`, most of them `FORMAT_SERVER`.
   */
  openLiveReader?(context: LiveReadContext): Promise<SnapshotReader>;
  /**
   * Checks the snapshots that the read options name: one, or all where they name none. What is wrong with them is in the report;
   * it rejects only when they cannot be looked at (`FORMAT_NOT_FOUND`, `StorageError`). Absent: whoever wants to know reads the
   * snapshot with {@link openReader} and `verifyStream`.
   */
  verify?(context: VerifyContext): Promise<VerifyReport>;
  /** Checks that the snapshot described can be held and the destination can be written. Writes nothing. */
  openWriter(context: WriteContext): Promise<SnapshotWriter>;
}

export interface FormatCapability {
  /** The format can hold the WAL that an inconsistent snapshot needs. */
  readonly holdsWal: boolean;
  /** As a writer it has to know every file beforehand (`SnapshotReader.plan`). */
  readonly needsPlan?: boolean;
  readonly tablespaces: boolean;
  readonly majors: readonly number[];
  readonly reads: boolean;
  readonly writes: boolean;
  /** As a writer it verifies the page checksums of a source that has them, so that the reader need not. */
  readonly verifiesPages?: boolean;
}

export interface Detection {
  readonly found: boolean;
  /** One clause for a message: what was seen, or what is missing. */
  readonly reason: string;
}

export interface FormatOptionDescription {
  /** snake_case, as the flag is written: `tenant_id`. */
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'list';
  readonly description: string;
}

/** Values of format options by name; unknown names are refused by the CLI before they arrive here. */
export type FormatOptions = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** Helpers that a format gets injected, so that it names no backend and starts no process. */
export interface FormatServices {
  /** Opens a further location, e.g. a tablespace directory. */
  openStorage(url: string, options: { readonly access: 'read' | 'write' }): Promise<Storage>;
  /** Makes a crashed or base-backed-up data directory consistent in a scratch copy; absent where no Postgres may be started. */
  readonly recover?: (options: RecoverRequest) => Promise<RecoveredDirectory>;
  /** Makes this process the one writer of a place; rejects while another one is. Absent: the caller sees to it. */
  readonly acquireLease?: (request: LeaseRequest) => Promise<WriteLease>;
  /** Replays WAL records with Postgres itself, for those that a format's own redo does not know; absent where no Postgres may be started. */
  readonly openStockRedo?: (request: OpenStockRedoRequest) => Promise<StockRedo>;
  now(): Date;
  randomBytes(length: number): Uint8Array;
  /** Warnings for the user: one sentence each. */
  warn(message: string): void;
}

export interface RecoverRequest {
  /** Absolute path of the data directory; it is never written to. */
  readonly dataDirectory: string;
  readonly postgresMajor: number;
  readonly signal?: AbortSignal | undefined;
}

/** A consistent, stopped copy. Dispose to remove it. */
export interface RecoveredDirectory extends AsyncDisposable {
  readonly dataDirectory: string;
}

export interface FormatContext {
  readonly storage: Storage;
  readonly options: FormatOptions;
  readonly services: FormatServices;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Upper bound on things done side by side: files, objects, partitions. At least 1. */
  readonly concurrency: number;
}

export interface ReadContext extends FormatContext {
  /** True when the writer verifies page checksums itself (its `capability.verifiesPages`): the reader then does not. */
  readonly pagesVerifiedDownstream?: boolean;
}

/** A server in place of a storage. */
export interface LiveReadContext extends Omit<ReadContext, 'storage'> {
  /** Where the server is, as the user wrote it. It may hold a password: no message repeats it. */
  readonly server: string;
  /** Where its protocol looks for what the text does not say. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface WriteContext extends FormatContext {
  readonly source: SnapshotDescription;
}

export interface SnapshotDescription {
  readonly info: SnapshotInfo;
  /** Every file that will come, in canonical order, where the source knows them beforehand. */
  readonly plan?: readonly PlannedFile[];
  readonly formatName: string;
}

/** An opened snapshot. */
export interface SnapshotReader extends AsyncDisposable {
  readonly info: SnapshotInfo;
  readonly plan?: readonly PlannedFile[];
  /**
   * At most `countMax` streams that together yield every entry once. Where `plan` is there, partition 0 starts with all
   * directories and links and each partition holds a contiguous run of the plan.
   * `global/pg_control` is never an entry: see `finish`.
   */
  partitions(countMax: number): readonly SnapshotPartition[];
  /** After every partition has ended: what goes last. */
  finish(): Promise<SnapshotTrailer>;
}

export interface SnapshotTrailer {
  /** The whole 8192 bytes of `global/pg_control`. */
  readonly controlFile: Uint8Array;
  /** Of a base backup that needs WAL, and of nothing else. */
  readonly backup?: BackupTrailer | undefined;
}

/** What recovery of a base backup starts from. */
export interface BackupTrailer {
  /** `backup_label` as the server wrote it. A backup that is started without it is silently corrupt. */
  readonly label: Uint8Array;
  /** WAL that makes it consistent, newest timeline first. */
  readonly walRanges: readonly ManifestWalRange[];
}

/** A snapshot being written. Nothing is visible as a snapshot until `close` has returned. */
export interface SnapshotWriter {
  /** How many partitions it will take side by side. */
  readonly partitionCountMax: number;
  /** Takes one partition to its end entry. May be called side by side, up to `partitionCountMax` times. */
  writePartition(partition: SnapshotPartition): Promise<void>;
  /** Publishes: durable and visible. */
  close(trailer: SnapshotTrailer): Promise<WriteResult>;
  /** Leaves nothing visible; removes what it can. Idempotent, never rejects for a missing object. */
  abort(): Promise<void>;
}

export interface WriteResult {
  /** Facts for the result that is printed: ids, LSN, counts, bytes stored. JSON-safe values only. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly bytesWritten: number;
  readonly objectsWritten: number;
}
