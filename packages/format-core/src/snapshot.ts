import type { Lsn } from '@neon-snapshot/postgres';

/** Facts of a snapshot that are known before any entry is read. */
export interface SnapshotInfo {
  readonly systemIdentifier: bigint;
  /** 14 to 18. */
  readonly postgresMajor: number;
  readonly catalogVersion: number;
  /** Where the snapshot ends: for a consistent one the end of the last WAL record, where WAL would continue. */
  readonly lsn: Lsn;
  /** Start of the last record before `lsn` (of a cleanly stopped cluster: its shutdown checkpoint). */
  readonly previousRecordLsn?: Lsn;
  /** Postgres' TimeLineID (u32), not Neon's timeline id. */
  readonly timeLineId: number;
  /** `data_checksum_version` is 1: pages carry valid checksums. False also where only the trailer says so. */
  readonly dataChecksums: boolean;
  readonly consistency:
    | { readonly kind: 'consistent' }
    /**
     * Needs the WAL `[fromLsn, upToLsn)` that its entries carry in `pg_wal/`. Where it ends is known last while the backup is
     * still being taken.
     */
    | {
        readonly kind: 'needs-wal';
        readonly fromLsn: Lsn;
        readonly upToLsn?: Lsn;
        /** Its `backup_label`, where it is known before the trailer. Never an entry. */
        readonly backupLabel?: Uint8Array;
      };
  readonly walSegmentSizeBytes: number;
  readonly blockSizeBytes: number;
  readonly tablespaces: readonly Tablespace[];
  /** Sum of all file sizes, where known. */
  readonly bytesTotal?: number;
  /** Facts that a writer may not be able to hold; named before anything is written. */
  readonly features: SnapshotFeatures;
}

export interface Tablespace {
  readonly oid: number;
  /** Directory on the source machine, or `pg_tblspc/OID` for an in-place one. */
  readonly location: string;
}

/** What a cluster holds beyond relations: used to refuse, or to warn, before the first byte. */
export interface SnapshotFeatures {
  readonly replicationSlots: readonly string[];
  readonly commitTimestamps: boolean;
  readonly statistics: boolean;
}

/** One PGDATA-relative thing of the canonical stream, or the end mark of a partition. */
export type SnapshotEntry = DirectoryEntry | FileEntry | LinkEntry | EndEntry;

export interface DirectoryEntry {
  readonly kind: 'directory';
  /** PGDATA-relative, `/` separated, no trailing `/`. Tablespace directories are `pg_tblspc/OID/PG_…`. */
  readonly path: string;
}

export interface FileEntry {
  readonly kind: 'file';
  readonly path: string;
  /** Exactly the number of bytes that `body` yields; a source that yields another number fails with `FORMAT_TRUNCATED`. */
  readonly sizeBytes: number;
  readonly modifiedAt?: Date;
  /**
   * Chunks owned by the receiver. Must be drained before the next entry is asked for.
   * For relation files every chunk but the last is a multiple of 8192 bytes.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * CRC-32C of the body, where the source took it anyway; asked for when the body was drained. Spares the writer of a manifest to take it
   * again. Whoever hands on another body leaves it out.
   */
  readonly crc32c?: () => number;
}

export interface LinkEntry {
  readonly kind: 'link';
  /** Always `pg_tblspc/OID`. */
  readonly path: string;
  readonly target: string;
}

/** The last entry of every partition; a stream without one is truncated. */
export interface EndEntry {
  readonly kind: 'end';
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
}

/** A file of the snapshot as known before its body is read. */
export interface PlannedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** One sequential stream of entries; partitions may be read side by side. */
export interface SnapshotPartition {
  readonly id: string;
  /** The partition's files in the order of `entries`, where the source knows them beforehand. */
  readonly plan?: readonly PlannedFile[];
  /** May be iterated once. */
  readonly entries: AsyncIterable<SnapshotEntry>;
}
