import type { Value } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';

/**
 * The timeline that WAL is ingested into, as far as ingest reads it. Answers hold every write that was handed out before:
 * a `TimelineView` of neon-layer under an overlay of own writes.
 */
export interface TimelineState {
  /**
   * The newest value of a key, or undefined where there is none. Asked for directories, sizes, relation maps, the
   * checkpoint, aux files, and — only when a database is copied file by file — relation pages, which may need WAL redo.
   */
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** The values of keys that ascend strictly, in their order. */
  getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
}

/** One change of one key. Read-only: page images may be shared, records may be views of the WAL they were read from. */
export interface IngestWrite {
  readonly key: Uint8Array;
  /** End of the record: where the next one starts. */
  readonly lsn: Lsn;
  readonly value: Value;
}

/**
 * Takes the writes of a record: once for most records, not at all for one that changes nothing, several times with one LSN
 * for one that changes very many keys. The array is reused after the call, and after the promise where there is one.
 */
export type IngestSink = (writes: readonly IngestWrite[]) => Promise<void> | undefined;
