import type { StoredLayer } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';

/** The last record that a timeline holds: what shows that a data directory continues it. */
export interface LastRecord {
  readonly start: Lsn;
  /** Where the next record begins: the timeline's end. */
  readonly end: Lsn;
  /** `xl_crc`. */
  readonly crc: number;
}

/** A change of a timeline's layers, published by one new index. */
export interface LayerChange {
  /** Already stored by `putLayer`. */
  readonly add?: readonly StoredLayer[] | undefined;
  /** Names as in the index; their objects are left to the caller. */
  readonly remove?: readonly string[] | undefined;
  /** The new GC cutoff; never moves back. */
  readonly gcCutoff?: Lsn | undefined;
}

export interface WaitOptions {
  /** Default 300 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Counters since the start, and gauges. */
export interface TimelineMetrics {
  readonly walBytesReceived: number;
  readonly recordsIngested: number;
  readonly pagesRead: number;
  readonly layersPushed: number;
  readonly layerBytesPushed: number;
  readonly tailChunksPushed: number;
  readonly tailBytesPushed: number;
  readonly indexesPushed: number;
  readonly storageFailures: number;
  /** Values and WAL in memory now. */
  readonly memoryBytes: number;
}

/** How a timeline stands with its storage. */
export interface PushState {
  /** Bytes of WAL that are not in the storage yet in any form. */
  readonly lagBytes: number;
  /** Since when there is such WAL; undefined where there is none. */
  readonly behindSince: Date | undefined;
  readonly lastPushAt: Date | undefined;
  /** What the storage last failed with, while it fails. */
  readonly failure: { readonly message: string; readonly since: Date; readonly attempts: number } | undefined;
}
