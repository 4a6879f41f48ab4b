import {
  type BuiltLayer,
  CONTROL_FILE_KEY,
  hasPrevRecord,
  indexObjectKey,
  type KeyRange,
  type PageBatch,
  type RedoFunction,
  type StoredLayer,
  type TimelineReader,
  type TimelineSource,
  TimelineView,
} from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import {
  decodeControlFile,
  formatLsn,
  type Lsn,
  type RelTag,
  type SlruKind,
  lsn as toLsn,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { keyOfId } from '../ingest/key-id.ts';
import { type ClusterFacts, WalIntake } from '../ingest/wal-intake.ts';
import { PageServerError } from '../page-server-error.ts';
import { IndexObject } from '../push/index-object.ts';
import { Freezer } from './freezer.ts';
import { LsnWaiters } from './lsn-waiters.ts';
import { type ReadableState, readValue, readValues } from './read-path.ts';
import { type RecoveredTail, recoverTail } from './recover-tail.ts';
import { RelationFacts } from './relation-facts.ts';
import { StorageHealth } from './storage-health.ts';
import { TimelineLayers } from './timeline-layers.ts';
import { TimelinePush } from './timeline-push.ts';
import { TimelineReads } from './timeline-reads.ts';
import type { TimelineServices } from './timeline-services.ts';
import type {
  CallOptions,
  LastRecord,
  LayerChange,
  PushState,
  TimelineMetrics,
  WaitOptions,
} from './timeline-types.ts';

/** Behind every LSN that is in use: the state with the writes of a record that is not complete. */
const NEWEST = toLsn((1n << 53n) - 1n);
/** Index blocks of layers that page reads keep. */
const BLOCK_CACHE_BYTES = 64 * 1024 * 1024;

interface TimelineParts {
  readonly services: TimelineServices;
  readonly loaded: TimelineSource;
  readonly parent: Timeline | undefined;
  readonly view: TimelineView;
  readonly redo: RedoFunction;
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
  readonly #services: TimelineServices;
  readonly #layers: TimelineLayers;
  readonly #intake: WalIntake;
  readonly #freezer: Freezer;
  readonly #reads: TimelineReads;
  readonly #facts: RelationFacts;
  readonly #arrived: LsnWaiters;
  readonly #push: TimelinePush;
  readonly #health: StorageHealth;
  readonly #indexObject: IndexObject;
  #view: TimelineView;
  #recovered: RecoveredTail | undefined;
  #walBytes = 0;
  #readCount = 0;
  #isUnderPressure = false;

  /**
   * Reads nothing but the tail of raw WAL, and takes it over: afterwards `takeOver` puts the index, and `start` begins. `parent` is the
   * ancestor.
   */
  static async open(
    services: TimelineServices,
    loaded: TimelineSource,
    parent: Timeline | undefined,
    { signal }: CallOptions = {},
  ): Promise<Timeline> {
    const redo = createValueRedo(loaded.index.metadata.postgresMajor, { fallback: services.redoFallback });
    const cacheBytes = BLOCK_CACHE_BYTES;
    const view = await TimelineView.open(services.cache.storage, loaded, { redo, cacheBytes, signal });
    const timeline = new Timeline({ services, loaded, parent, view, redo });
    timeline.#recovered = await recoverTail({
      storage: services.storage,
      tenantId: services.tenantId,
      source: loaded,
      generation: services.guard.generation,
      readClusterFacts: () => timeline.#readClusterFacts(),
      signal,
    });
    return timeline;
  }

  private constructor({ services, loaded, parent, view, redo }: TimelineParts) {
    const { metadata } = loaded.index;
    const { tenantId, guard, clock, emit } = services;
    this.tenantId = tenantId;
    this.timelineId = loaded.timelineId;
    this.major = metadata.postgresMajor;
    this.storage = services.cache.storage;
    this.redo = redo;
    this.#services = services;
    this.#view = view;
    this.#layers = new TimelineLayers({
      loaded,
      generation: guard.generation,
      parent: parent && (() => parent.source),
    });
    this.#intake = new WalIntake({
      major: this.major,
      start: metadata.diskConsistentLsn,
      previousRecord: hasPrevRecord(metadata) ? metadata.prevRecordLsn : undefined,
      state: {
        get: (key) => readValue(this.#state(), key, NEWEST),
        getMany: (keys) => readValues(this.#state(), keys, NEWEST),
      },
      readClusterFacts: () => this.#readClusterFacts(),
      onWrite: (key) => this.#facts.onWrite(key),
      onProgress: () => this.#onProgress(),
    });
    this.#freezer = new Freezer({
      tenantId,
      timelineId: this.timelineId,
      intake: this.#intake,
      layers: this.#layers,
      cache: services.cache,
    });
    this.#reads = new TimelineReads({
      timelineId: this.timelineId,
      storage: this.storage,
      state: () => this.#state(),
      lastRecordLsn: () => this.lastRecordLsn,
      freeze: () => this.#freezer.freeze(),
    });
    this.#facts = new RelationFacts(this.#reads, (id, lsn) => this.#isNewest(id, lsn));
    this.#arrived = new LsnWaiters(
      `the last record of timeline ${this.timelineId} ends at`,
      metadata.diskConsistentLsn,
    );
    this.#health = new StorageHealth(this.timelineId, clock, emit);
    const { tenant } = loaded;
    const key = indexObjectKey({ tenant, timelineId: this.timelineId, generation: guard.generation });
    this.#indexObject = new IndexObject(services.storage, key);
    this.#push = new TimelinePush({
      services,
      timelineId: this.timelineId,
      layers: this.#layers,
      intake: this.#intake,
      freezer: this.#freezer,
      health: this.#health,
      indexObject: this.#indexObject,
      onMemoryFreed: () => this.#onMemoryFreed(),
    });
  }

  /** End of the last complete record: what is readable. */
  get lastRecordLsn(): Lsn {
    return this.#intake.lastRecordLsn;
  }
  /** Start of the last record; undefined where unknown. */
  get prevRecordLsn(): Lsn | undefined {
    return this.#intake.previousRecordLsn;
  }
  /** Facts of the last record; undefined where its bytes are not known (after an import). */
  get lastRecord(): LastRecord | undefined {
    return this.#intake.lastRecord;
  }
  /** Up to here everything is in layers that an index in the storage lists. */
  get diskConsistentLsn(): Lsn {
    return this.#layers.published.index.metadata.diskConsistentLsn;
  }
  /** The same, once the lease was verified after that index. */
  get remoteConsistentLsn(): Lsn {
    return this.diskConsistentLsn;
  }
  /** Up to here everything is in the storage as layers or raw WAL, and survives the loss of this machine. */
  get durableLsn(): Lsn {
    return this.#push.durableLsn;
  }
  /** Reads below are refused. */
  get gcCutoff(): Lsn {
    return this.#layers.published.index.metadata.latestGcCutoffLsn;
  }
  get ancestor(): { readonly timelineId: string; readonly lsn: Lsn } | undefined {
    const { ancestor } = this.#layers.published;
    return ancestor && { timelineId: ancestor.source.timelineId, lsn: ancestor.lsn };
  }
  get isArchived(): boolean {
    return this.#layers.published.index.archivedAt !== undefined;
  }
  /** The layers as published, and frozen ones that are still only local; with the ancestors' as they are now. Immutable; another one after each change. */
  get source(): TimelineSource {
    return this.#layers.source;
  }
  /** Where the next bytes of WAL are expected. */
  get receivedLsn(): Lsn {
    return this.#intake.position;
  }
  get metrics(): TimelineMetrics {
    return {
      ...this.#push.counters,
      walBytesReceived: this.#walBytes,
      recordsIngested: this.#intake.recordCount,
      pagesRead: this.#readCount,
      storageFailures: this.#health.failureCount,
      memoryBytes: this.memoryBytes,
    };
  }
  get pushState(): PushState {
    return this.#push.state;
  }
  /** Values and raw WAL in memory. */
  get memoryBytes(): number {
    const layers = this.#freezer.memory.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return layers + this.#intake.tail.sizeBytes;
  }

  /** Resolves when the record that ends at `lsn` is readable. Throws `PAGESERVER_TIMEOUT`, `PAGESERVER_CLOSED`. */
  waitForLsn(lsn: Lsn, options?: WaitOptions): Promise<void> {
    return this.#arrived.wait(lsn, options);
  }
  /** Resolves when everything up to `lsn` is durable in the storage. */
  waitForDurable(lsn: Lsn, options?: WaitOptions): Promise<void> {
    return this.#push.waitForDurable(lsn, options);
  }

  /** Calls a listener whenever `durableLsn` has advanced; gives what ends that. */
  onDurable(listener: () => void): () => void {
    return this.#push.onDurable(listener);
  }
  /** Puts raw WAL at once where some waits for its interval. */
  hurryTail(): void {
    this.#push.hurryTail();
  }
  /** Which cluster's WAL belongs to the timeline. */
  clusterFacts(): Promise<ClusterFacts> {
    return this.#readClusterFacts();
  }

  /** The value of a key at an LSN at or below `lastRecordLsn`, or undefined. Throws `PAGESERVER_LSN_OUT_OF_RANGE`. */
  get(key: Uint8Array, lsn: Lsn, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#reads.get(key, lsn, options);
  }
  /** The values of keys that ascend strictly, in their order. */
  getMany(
    keys: readonly Uint8Array[],
    lsn: Lsn,
    options?: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#reads.getMany(keys, lsn, options);
  }
  /** 8192 bytes; a zero page behind the relation's end. A relation that is not there is `PAGESERVER_NOT_FOUND`. */
  getPage(tag: RelTag, blockNumber: number, lsn: Lsn, options: CallOptions = {}): Promise<Uint8Array> {
    this.#readCount += 1;
    return this.#facts.page(tag, blockNumber, lsn, options);
  }
  /** Blocks of a relation fork, or undefined where there is none. */
  relSize(tag: RelTag, lsn: Lsn, options: CallOptions = {}): Promise<number | undefined> {
    return this.#facts.relSize(tag, lsn, options);
  }
  relExists(tag: RelTag, lsn: Lsn, options: CallOptions = {}): Promise<boolean> {
    return this.#facts.relExists(tag, lsn, options);
  }
  /** Bytes of all relations of a database in the default tablespace, as Neon counts. */
  dbSize(dbNode: number, lsn: Lsn, options: CallOptions = {}): Promise<number> {
    return this.#facts.dbSize(dbNode, lsn, options);
  }
  /** All pages of an SLRU segment, 8192 bytes each, or undefined where there is none. */
  slruSegment(
    kind: SlruKind,
    segno: number,
    lsn: Lsn,
    options: CallOptions = {},
  ): Promise<Uint8Array | undefined> {
    return this.#facts.slruSegment(kind, segno, lsn, options);
  }
  /**
   * The whole timeline at one LSN, for backups, compaction and searches. Where the LSN lies above the layers, what is in
   * memory becomes a layer first (local at once, pushed with the next push). The reader stays good while layers change;
   * close it.
   */
  readerAt(lsn: Lsn, options?: CallOptions): Promise<TimelineReader> {
    return this.#reads.readerAt(lsn, options);
  }
  /** The relation pages of a key range at one LSN as they are stored, in key order. */
  readPages(range: KeyRange, lsn: Lsn, options?: CallOptions): AsyncGenerator<PageBatch> {
    return this.#reads.readPages(range, lsn, options);
  }

  /**
   * Takes the next bytes of the WAL stream, page headers included, which begin at `startLsn`: at most where the last call
   * ended. Resolves when every complete record in them is readable; waits while too much is in memory. The bytes are kept: they must
   * not change afterwards. One call at a time. Throws `PAGESERVER_INVALID_WAL`; the timeline then stands behind its last good record
   * and takes the stream again from there.
   */
  async ingestWal(bytes: Uint8Array, startLsn: Lsn): Promise<void> {
    this.#push.signal.throwIfAborted();
    this.#assertWritable();
    const { budget } = this.#services;
    if (budget.isUsedUp) {
      this.#setPressure(true);
      this.#push.hurry();
      await budget.whenAvailable(this.#push.signal);
      this.#setPressure(false);
    }
    this.#walBytes += bytes.length;
    await this.#intake.take(bytes, startLsn);
  }
  /** Forgets the unfinished record at the stream's end: the next bytes are to begin at `lastRecordLsn`. For a new connection. */
  restartStream(): void {
    this.#intake.restart();
  }
  /** Makes what is in memory a layer, local only. No-op where nothing is. */
  freeze(): Promise<void> {
    return this.#freezer.freeze();
  }
  /** Freezes, puts all layers and a new index: afterwards `remoteConsistentLsn` is at least the `lastRecordLsn` of the call. */
  push(options?: CallOptions): Promise<void> {
    return this.#push.push(options);
  }
  /** Puts the raw WAL that is not in the storage yet: afterwards `durableLsn` is at least the `lastRecordLsn` of the call. */
  pushTail(options?: CallOptions): Promise<void> {
    return this.#push.pushTail(options);
  }

  /** Puts a layer under the own generation, and into the cache. Listed by no index before `publish`. */
  putLayer(layer: BuiltLayer, options?: CallOptions): Promise<StoredLayer> {
    return this.#push.putLayer(layer, options);
  }
  /** Publishes a change of layers by a new index: one at a time, in order, lease checked before and verified after. Gives the layers that are listed no more. */
  publish(change: LayerChange, options?: CallOptions): Promise<readonly StoredLayer[]> {
    return this.#push.publish(change, options);
  }

  /** Puts the index as it was read under the own generation: from then on none of an earlier owner counts. For the page server. */
  async takeOver({ signal = NEVER }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#services.guard.assertLive(signal);
    await this.#indexObject.put(this.#layers.published.index, signal);
  }

  /** Once the lease was verified after that: takes the recovered WAL, and begins to push. For the page server. */
  async start(): Promise<void> {
    this.#services.budget.add(this);
    const recovered = this.#recovered;
    this.#recovered = undefined;
    if (recovered !== undefined) {
      const { bytes, start, end, lastInLayers, chunks } = recovered;
      if (end > this.lastRecordLsn) await this.#intake.take(bytes, start);
      else if (lastInLayers !== undefined) this.#intake.setLastRecordCrc(lastInLayers.crc);
      this.#push.adopt(chunks, this.lastRecordLsn);
      this.#emitRecovered(bytes.length);
    }
    this.#push.start();
  }

  /** Another process writes the tenant now: nothing more is put. For the page server. */
  fence(error: PageServerError): void {
    void this.#push.stop(error);
    this.#arrived.end(error);
  }

  /** Ends the background work. With `push`, everything goes to the storage first, unless the signal fires before. For the page server. */
  async close(options: { readonly push: boolean; readonly signal: AbortSignal }): Promise<void> {
    const closed = closedError(this.timelineId);
    try {
      if (options.push) await this.#push.push({ signal: options.signal });
    } finally {
      await this.#push.stop(closed);
      this.#arrived.end(closed);
      this.#services.budget.remove(this);
      this.#view.close();
    }
  }

  #state(): ReadableState {
    const { source } = this.#layers;
    if (this.#view.source !== source) this.#view = this.#view.withSource(source);
    return { memory: this.#freezer.memory, view: this.#view, redo: this.redo };
  }

  #isNewest(id: string, lsn: Lsn): boolean {
    if (lsn < this.#layers.end) return false;
    const key = keyOfId(id);
    return this.#freezer.memory.every((layer) => (layer.newestLsn(key) ?? lsn) <= lsn);
  }

  async #readClusterFacts(): Promise<ClusterFacts> {
    const value = await this.#view.get(CONTROL_FILE_KEY);
    if (value === undefined) throw noControlFile(this.timelineId);
    const { systemIdentifier, walSegmentSizeBytes } = decodeControlFile(value);
    return { systemIdentifier, segmentSize: walSegmentSizeBytes };
  }

  #onProgress(): void {
    this.#arrived.advance(this.lastRecordLsn);
    this.#push.onWal();
  }

  #onMemoryFreed(): void {
    this.#services.budget.release();
  }

  #setPressure(isOn: boolean): void {
    if (this.#isUnderPressure === isOn) return;
    this.#isUnderPressure = isOn;
    const { timelineId, memoryBytes } = this;
    this.#services.emit({ kind: 'back-pressure', timelineId, isOn, memoryBytes });
  }

  #emitRecovered(walBytes: number): void {
    this.#services.emit({
      kind: 'recovered',
      timelineId: this.timelineId,
      diskConsistentLsn: formatLsn(this.diskConsistentLsn),
      lastRecordLsn: formatLsn(this.lastRecordLsn),
      walBytes,
    });
  }

  #assertWritable(): void {
    const { relSizeMigration } = this.#layers.published.index;
    if (relSizeMigration === undefined || relSizeMigration === 'legacy') return;
    throw new PageServerError({
      code: 'PAGESERVER_INVALID_STATE',
      operation: 'ingest',
      message: `timeline ${this.timelineId} has the newer relation directory (rel_size_migration ${relSizeMigration}), which this page server does not write; use Neon's own`,
    });
  }
}

const NEVER: AbortSignal = new AbortController().signal;

function closedError(timelineId: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_CLOSED',
    operation: 'close',
    message: `timeline ${timelineId} was closed`,
  });
}

function noControlFile(timelineId: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'ingest',
    message: `timeline ${timelineId} has no control file, so that nothing tells which cluster's WAL belongs to it`,
  });
}
