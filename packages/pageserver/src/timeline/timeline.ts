import type {
  BuiltLayer,
  KeyRange,
  PageBatch,
  RedoFunction,
  StoredLayer,
  TimelineReader,
  TimelineSource,
} from '@neon-snapshot/neon-layer';
import type { Lsn, RelTag, SlruKind } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { PageServerError } from '../page-server-error.ts';
import type {
  CallOptions,
  LastRecord,
  LayerChange,
  PushState,
  TimelineMetrics,
  WaitOptions,
} from './timeline-types.ts';

function unfinished(): never {
  throw new PageServerError({ code: 'PAGESERVER_IO', operation: 'open', message: 'not built yet' });
}

/**
 * One timeline of the tenant: takes WAL, answers reads at any LSN from the GC cutoff to its end, and brings everything to the
 * storage. Values of reads are the caller's.
 */
export class Timeline {
  readonly tenantId: string;
  readonly timelineId: string;
  /** 14 to 17. */
  readonly major: number;
  /** Layers by way of the local cache. Read-only. */
  readonly storage: Storage;
  /** Redo of single values of this timeline. */
  readonly redo: RedoFunction;

  private constructor(parts: Pick<Timeline, 'tenantId' | 'timelineId' | 'major' | 'storage' | 'redo'>) {
    this.tenantId = parts.tenantId;
    this.timelineId = parts.timelineId;
    this.major = parts.major;
    this.storage = parts.storage;
    this.redo = parts.redo;
  }

  /** End of the last complete record: what is readable. */
  get lastRecordLsn(): Lsn {
    return unfinished();
  }
  /** Start of the last record; undefined where unknown. */
  get prevRecordLsn(): Lsn | undefined {
    return unfinished();
  }
  /** Facts of the last record; undefined where its bytes are not known (after an import). */
  get lastRecord(): LastRecord | undefined {
    return unfinished();
  }
  /** Up to here everything is in layers that an index in the storage lists. */
  get diskConsistentLsn(): Lsn {
    return unfinished();
  }
  /** The same, once the lease was verified after that index. */
  get remoteConsistentLsn(): Lsn {
    return unfinished();
  }
  /** Up to here everything is in the storage as layers or raw WAL, and survives the loss of this machine. */
  get durableLsn(): Lsn {
    return unfinished();
  }
  /** Reads below are refused. */
  get gcCutoff(): Lsn {
    return unfinished();
  }
  get ancestor(): { readonly timelineId: string; readonly lsn: Lsn } | undefined {
    return unfinished();
  }
  get isArchived(): boolean {
    return unfinished();
  }
  /** The layers as published, and frozen ones that are still only local; with the ancestors' as they are now. Immutable; another one after each change. */
  get source(): TimelineSource {
    return unfinished();
  }
  get metrics(): TimelineMetrics {
    return unfinished();
  }
  get pushState(): PushState {
    return unfinished();
  }

  /** Resolves when the record that ends at `lsn` is readable. Throws `PAGESERVER_TIMEOUT`, `PAGESERVER_CLOSED`. */
  waitForLsn(_lsn: Lsn, _options?: WaitOptions): Promise<void> {
    return unfinished();
  }
  /** Resolves when everything up to `lsn` is durable in the storage. */
  waitForDurable(_lsn: Lsn, _options?: WaitOptions): Promise<void> {
    return unfinished();
  }

  /** The value of a key at an LSN at or below `lastRecordLsn`, or undefined. Throws `PAGESERVER_LSN_OUT_OF_RANGE`. */
  get(_key: Uint8Array, _lsn: Lsn, _options?: CallOptions): Promise<Uint8Array | undefined> {
    return unfinished();
  }
  /** The values of keys that ascend strictly, in their order. */
  getMany(
    _keys: readonly Uint8Array[],
    _lsn: Lsn,
    _options?: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    return unfinished();
  }
  /** 8192 bytes; a zero page behind the relation's end. A relation that is not there is `PAGESERVER_NOT_FOUND`. */
  getPage(_tag: RelTag, _blockNumber: number, _lsn: Lsn, _options?: CallOptions): Promise<Uint8Array> {
    return unfinished();
  }
  /** Blocks of a relation fork, or undefined where there is none. */
  relSize(_tag: RelTag, _lsn: Lsn, _options?: CallOptions): Promise<number | undefined> {
    return unfinished();
  }
  relExists(_tag: RelTag, _lsn: Lsn, _options?: CallOptions): Promise<boolean> {
    return unfinished();
  }
  /** Bytes of all relations of a database in the default tablespace, as Neon counts. */
  dbSize(_dbNode: number, _lsn: Lsn, _options?: CallOptions): Promise<number> {
    return unfinished();
  }
  /** All pages of an SLRU segment, 8192 bytes each, or undefined where there is none. */
  slruSegment(
    _kind: SlruKind,
    _segno: number,
    _lsn: Lsn,
    _options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    return unfinished();
  }
  /**
   * The whole timeline at one LSN, for backups, compaction and searches. Where the LSN lies above the layers, what is in
   * memory becomes a layer first (local at once, pushed with the next push). The reader stays good while layers change;
   * close it.
   */
  readerAt(_lsn: Lsn, _options?: CallOptions): Promise<TimelineReader> {
    return unfinished();
  }
  /** The relation pages of a key range at one LSN as they are stored, in key order. */
  readPages(_range: KeyRange, _lsn: Lsn, _options?: CallOptions): AsyncGenerator<PageBatch> {
    return unfinished();
  }

  /**
   * Takes the next bytes of the WAL stream, page headers included, which begin at `startLsn`: at most where the last call
   * ended. Resolves when every complete record in them is readable. One call at a time. Throws `PAGESERVER_INVALID_WAL`;
   * the timeline then stands behind its last good record and takes the stream again from there.
   */
  ingestWal(_bytes: Uint8Array, _startLsn: Lsn): Promise<void> {
    return unfinished();
  }
  /** Makes what is in memory a layer, local only. No-op where nothing is. */
  freeze(_options?: CallOptions): Promise<void> {
    return unfinished();
  }
  /** Freezes, puts all layers and a new index: afterwards `remoteConsistentLsn` is at least the `lastRecordLsn` of the call. */
  push(_options?: CallOptions): Promise<void> {
    return unfinished();
  }
  /** Puts the raw WAL that is not in the storage yet: afterwards `durableLsn` is at least the `lastRecordLsn` of the call. */
  pushTail(_options?: CallOptions): Promise<void> {
    return unfinished();
  }

  /** Puts a layer under the own generation, and into the cache. Listed by no index before `publish`. */
  putLayer(_layer: BuiltLayer, _options?: CallOptions): Promise<StoredLayer> {
    return unfinished();
  }
  /** Publishes a change of layers by a new index: one at a time, in order, lease checked before and verified after. Gives the layers that are listed no more. */
  publish(_change: LayerChange, _options?: CallOptions): Promise<readonly StoredLayer[]> {
    return unfinished();
  }
}
