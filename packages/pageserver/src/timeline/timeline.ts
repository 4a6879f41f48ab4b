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
import type { ClusterFacts } from '../ingest/wal-intake.ts';
import type { PageServerError } from '../page-server-error.ts';
import { TimelineCore } from './timeline-core.ts';
import type { TimelineServices } from './timeline-services.ts';
import type {
  CallOptions,
  LastRecord,
  LayerChange,
  PushState,
  TimelineMetrics,
  WaitOptions,
} from './timeline-types.ts';

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
  readonly #core: TimelineCore;
  #walBytes = 0;
  #readCount = 0;

  /**
   * Reads nothing but the tail of raw WAL, and takes it over: afterwards `takeOver` puts the index, and `start` begins. `parent` is the
   * ancestor.
   */
  static async open(
    services: TimelineServices,
    loaded: TimelineSource,
    parent: Timeline | undefined,
    options: CallOptions = {},
  ): Promise<Timeline> {
    const layersOfParent = parent && (() => parent.source);
    return new Timeline(await TimelineCore.open({ services, loaded, parent: layersOfParent }, options));
  }

  private constructor(core: TimelineCore) {
    const { services, timelineId, major, redo } = core;
    this.tenantId = services.tenantId;
    this.timelineId = timelineId;
    this.major = major;
    this.storage = services.cache.storage;
    this.redo = redo;
    this.#core = core;
  }

  /** End of the last complete record: what is readable. */
  get lastRecordLsn(): Lsn {
    return this.#core.intake.lastRecordLsn;
  }
  /** Start of the last record; undefined where unknown. */
  get prevRecordLsn(): Lsn | undefined {
    return this.#core.intake.previousRecordLsn;
  }
  /** Facts of the last record; undefined where its bytes are not known (after an import). */
  get lastRecord(): LastRecord | undefined {
    return this.#core.intake.lastRecord;
  }
  /** Up to here everything is in layers that an index in the storage lists. */
  get diskConsistentLsn(): Lsn {
    return this.#core.layers.published.index.metadata.diskConsistentLsn;
  }
  /** The same, once the lease was verified after that index. */
  get remoteConsistentLsn(): Lsn {
    return this.diskConsistentLsn;
  }
  /** Up to here everything is in the storage as layers or raw WAL, and survives the loss of this machine. */
  get durableLsn(): Lsn {
    return this.#core.push.durableLsn;
  }
  /** Reads below are refused. */
  get gcCutoff(): Lsn {
    return this.#core.layers.published.index.metadata.latestGcCutoffLsn;
  }
  get ancestor(): { readonly timelineId: string; readonly lsn: Lsn } | undefined {
    const { ancestor } = this.#core.layers.published;
    return ancestor && { timelineId: ancestor.source.timelineId, lsn: ancestor.lsn };
  }
  get isArchived(): boolean {
    return this.#core.layers.published.index.archivedAt !== undefined;
  }
  /** The layers as published, and frozen ones that are still only local; with the ancestors' as they are now. Immutable; another one after each change. */
  get source(): TimelineSource {
    return this.#core.layers.source;
  }
  /** Where the next bytes of WAL are expected. */
  get receivedLsn(): Lsn {
    return this.#core.intake.position;
  }
  get metrics(): TimelineMetrics {
    return {
      ...this.#core.push.counters,
      walBytesReceived: this.#walBytes,
      recordsIngested: this.#core.intake.recordCount,
      pagesRead: this.#readCount,
      storageFailures: this.#core.health.failureCount,
      memoryBytes: this.memoryBytes,
    };
  }
  get pushState(): PushState {
    return this.#core.push.state;
  }
  /** Values and raw WAL in memory. */
  get memoryBytes(): number {
    return this.#core.memoryBytes;
  }

  /** Resolves when the record that ends at `lsn` is readable. Throws `PAGESERVER_TIMEOUT`, `PAGESERVER_CLOSED`. */
  waitForLsn(lsn: Lsn, options?: WaitOptions): Promise<void> {
    return this.#core.arrived.wait(lsn, options);
  }
  /** Resolves when everything up to `lsn` is durable in the storage. */
  waitForDurable(lsn: Lsn, options?: WaitOptions): Promise<void> {
    return this.#core.push.waitForDurable(lsn, options);
  }

  /** Calls a listener whenever `durableLsn` has advanced; gives what ends that. */
  onDurable(listener: () => void): () => void {
    return this.#core.push.onDurable(listener);
  }
  /** Puts raw WAL at once where some waits for its interval. */
  hurryTail(): void {
    this.#core.push.hurryTail();
  }
  /** Which cluster's WAL belongs to the timeline. */
  clusterFacts(): Promise<ClusterFacts> {
    return this.#core.readClusterFacts();
  }

  /** The value of a key at an LSN at or below `lastRecordLsn`, or undefined. Throws `PAGESERVER_LSN_OUT_OF_RANGE`. */
  get(key: Uint8Array, lsn: Lsn, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#core.reads.get(key, lsn, options);
  }
  /** The values of keys that ascend strictly, in their order. */
  getMany(
    keys: readonly Uint8Array[],
    lsn: Lsn,
    options?: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#core.reads.getMany(keys, lsn, options);
  }
  /** 8192 bytes; a zero page behind the relation's end. A relation that is not there is `PAGESERVER_NOT_FOUND`. */
  getPage(tag: RelTag, blockNumber: number, lsn: Lsn, options: CallOptions = {}): Promise<Uint8Array> {
    this.#readCount += 1;
    return this.#core.facts.page(tag, blockNumber, lsn, options);
  }
  /** Blocks of a relation fork, or undefined where there is none. */
  relSize(tag: RelTag, lsn: Lsn, options: CallOptions = {}): Promise<number | undefined> {
    return this.#core.facts.relSize(tag, lsn, options);
  }
  relExists(tag: RelTag, lsn: Lsn, options: CallOptions = {}): Promise<boolean> {
    return this.#core.facts.relExists(tag, lsn, options);
  }
  /** Bytes of all relations of a database in the default tablespace, as Neon counts. */
  dbSize(dbNode: number, lsn: Lsn, options: CallOptions = {}): Promise<number> {
    return this.#core.facts.dbSize(dbNode, lsn, options);
  }
  /** All pages of an SLRU segment, 8192 bytes each, or undefined where there is none. */
  slruSegment(
    kind: SlruKind,
    segno: number,
    lsn: Lsn,
    options: CallOptions = {},
  ): Promise<Uint8Array | undefined> {
    return this.#core.facts.slruSegment(kind, segno, lsn, options);
  }
  /**
   * The whole timeline at one LSN, for backups, compaction and searches. Where the LSN lies above the layers, what is in
   * memory becomes a layer first (local at once, pushed with the next push). The reader stays good while layers change;
   * close it.
   */
  readerAt(lsn: Lsn, options?: CallOptions): Promise<TimelineReader> {
    return this.#core.reads.readerAt(lsn, options);
  }
  /** The relation pages of a key range at one LSN as they are stored, in key order. */
  readPages(range: KeyRange, lsn: Lsn, options?: CallOptions): AsyncGenerator<PageBatch> {
    return this.#core.reads.readPages(range, lsn, options);
  }

  /**
   * Takes the next bytes of the WAL stream, page headers included, which begin at `startLsn`: at most where the last call
   * ended. Resolves when every complete record in them is readable; waits while too much is in memory. The bytes are kept: they must
   * not change afterwards. One call at a time. Throws `PAGESERVER_INVALID_WAL`; the timeline then stands behind its last good record
   * and takes the stream again from there.
   */
  async ingestWal(bytes: Uint8Array, startLsn: Lsn): Promise<void> {
    await this.#core.takeWal(bytes, startLsn);
    this.#walBytes += bytes.length;
  }
  /** Forgets the unfinished record at the stream's end: the next bytes are to begin at `lastRecordLsn`. For a new connection. */
  restartStream(): void {
    this.#core.intake.restart();
  }
  /** Makes what is in memory a layer, local only. No-op where nothing is. */
  freeze(): Promise<void> {
    return this.#core.freezer.freeze();
  }
  /** Freezes, puts all layers and a new index: afterwards `remoteConsistentLsn` is at least the `lastRecordLsn` of the call. */
  push(options?: CallOptions): Promise<void> {
    return this.#core.push.push(options);
  }
  /** Puts the raw WAL that is not in the storage yet: afterwards `durableLsn` is at least the `lastRecordLsn` of the call. */
  pushTail(options?: CallOptions): Promise<void> {
    return this.#core.push.pushTail(options);
  }

  /** Puts a layer under the own generation, and into the cache. Listed by no index before `publish`. */
  putLayer(layer: BuiltLayer, options?: CallOptions): Promise<StoredLayer> {
    return this.#core.push.putLayer(layer, options);
  }
  /** Publishes a change of layers by a new index: one at a time, in order, lease checked before and verified after. Gives the layers that are listed no more. */
  publish(change: LayerChange, options?: CallOptions): Promise<readonly StoredLayer[]> {
    return this.#core.push.publish(change, options);
  }

  /** Puts the index as it was read under the own generation: from then on none of an earlier owner counts. For the page server. */
  takeOver(options: CallOptions = {}): Promise<void> {
    return this.#core.takeOver(options);
  }
  /** Once the lease was verified after that: takes the recovered WAL, and begins to push. For the page server. */
  start(): Promise<void> {
    return this.#core.start();
  }
  /** Another process writes the tenant now: nothing more is put. For the page server. */
  fence(error: PageServerError): void {
    this.#core.fence(error);
  }
  /** Ends the background work. With `push`, everything goes to the storage first, unless the signal fires before. For the page server. */
  close(options: { readonly push: boolean; readonly signal: AbortSignal }): Promise<void> {
    return this.#core.close(options);
  }
}
