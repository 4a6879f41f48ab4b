import {
  CONTROL_FILE_KEY,
  hasPrevRecord,
  indexObjectKey,
  type RedoFunction,
  type TimelineSource,
  TimelineView,
} from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { decodeControlFile, formatLsn, type Lsn, lsn as toLsn } from '@neon-snapshot/postgres';
import { keyOfId } from '../ingest/key-id.ts';
import { type ClusterFacts, WalIntake } from '../ingest/wal-intake.ts';
import { PageServerError } from '../page-server-error.ts';
import { IndexObject } from '../push/index-object.ts';
import { Freezer } from './freezer.ts';
import { LsnWaiters } from './lsn-waiters.ts';
import { type ReadableState, readValue, readValues } from './read-path.ts';
import { recoverTail, type TailFound } from './recover-tail.ts';
import { RelationFacts } from './relation-facts.ts';
import { StorageHealth } from './storage-health.ts';
import { TimelineLayers } from './timeline-layers.ts';
import { TimelinePush } from './timeline-push.ts';
import { TimelineReads } from './timeline-reads.ts';
import type { TimelineServices } from './timeline-services.ts';
import type { CallOptions } from './timeline-types.ts';

/** Behind every LSN that is in use: the state with the writes of a record that is not complete. */
const NEWEST = toLsn((1n << 53n) - 1n);
/** Index blocks of layers that page reads keep. */
const BLOCK_CACHE_BYTES = 64 * 1024 * 1024;

interface TimelineParts {
  readonly services: TimelineServices;
  readonly loaded: TimelineSource;
  /** The ancestor's layers as they are now. */
  readonly parent: (() => TimelineSource) | undefined;
  readonly view: TimelineView;
  readonly redo: RedoFunction;
}

/** What a timeline consists of, put together; and its life: open, take over, start, end. */
export class TimelineCore {
  readonly services: TimelineServices;
  readonly timelineId: string;
  /** 14 to 17. */
  readonly major: number;
  readonly redo: RedoFunction;
  readonly layers: TimelineLayers;
  readonly intake: WalIntake;
  readonly freezer: Freezer;
  readonly reads: TimelineReads;
  readonly facts: RelationFacts;
  readonly arrived: LsnWaiters;
  readonly health: StorageHealth;
  readonly push: TimelinePush;
  readonly #indexObject: IndexObject;
  #view: TimelineView;
  #found: TailFound = { tail: undefined, chunks: [] };
  #isUnderPressure = false;

  /** Reads nothing but the tail of raw WAL, and puts it under the own generation. */
  static async open(
    options: Omit<TimelineParts, 'view' | 'redo'>,
    { signal }: CallOptions = {},
  ): Promise<TimelineCore> {
    const { services, loaded } = options;
    const redo = createValueRedo(loaded.index.metadata.postgresMajor, { fallback: services.redoFallback });
    const cacheBytes = BLOCK_CACHE_BYTES;
    for (const { objectKey, sizeBytes } of loaded.layers.layers)
      await services.cache.expect(objectKey, sizeBytes);
    const view = await TimelineView.open(services.cache.storage, loaded, { redo, cacheBytes, signal });
    const core = new TimelineCore({ ...options, view, redo });
    core.#found = await recoverTail({
      storage: services.storage,
      tenantId: services.tenantId,
      source: loaded,
      generation: services.guard.generation,
      readClusterFacts: () => core.readClusterFacts(),
      signal,
    });
    return core;
  }

  private constructor({ services, loaded, parent, view, redo }: TimelineParts) {
    const { index } = loaded;
    const { metadata } = index;
    const { tenantId, guard, clock, emit, cache } = services;
    const { timelineId } = loaded;
    this.services = services;
    this.timelineId = timelineId;
    this.major = metadata.postgresMajor;
    this.redo = redo;
    this.#view = view;
    this.layers = new TimelineLayers({ loaded, generation: guard.generation, parent });
    this.intake = new WalIntake({
      major: this.major,
      start: metadata.diskConsistentLsn,
      previousRecord: hasPrevRecord(metadata) ? metadata.prevRecordLsn : undefined,
      state: {
        get: (key) => readValue(this.#state(), key, NEWEST),
        getMany: (keys) => readValues(this.#state(), keys, NEWEST),
      },
      readClusterFacts: () => this.readClusterFacts(),
      onWrite: (key) => this.facts.onWrite(key),
      onProgress: () => this.#onProgress(),
    });
    const { intake, layers } = this;
    this.freezer = new Freezer({ tenantId, timelineId, intake, layers, cache });
    this.reads = new TimelineReads({
      timelineId,
      storage: cache.storage,
      state: () => this.#state(),
      lastRecordLsn: () => intake.lastRecordLsn,
      freeze: () => this.freezer.freeze(),
      isPinned: (lsn) => services.isPinned(timelineId, lsn),
      isKept: (lsn) => services.isKept(timelineId, lsn),
    });
    this.facts = new RelationFacts(this.reads, (id, lsn) => this.#isNewest(id, lsn));
    this.arrived = new LsnWaiters(
      `the last record of timeline ${timelineId} ends at`,
      metadata.diskConsistentLsn,
    );
    this.health = new StorageHealth(timelineId, clock, emit);
    const key = indexObjectKey({ tenant: loaded.tenant, timelineId, generation: guard.generation });
    this.#indexObject = new IndexObject(services.storage, key);
    this.push = new TimelinePush({
      services,
      timelineId,
      layers,
      intake,
      freezer: this.freezer,
      health: this.health,
      indexObject: this.#indexObject,
      onMemoryFreed: () => services.budget.release(),
    });
  }

  /** Values and raw WAL in memory. */
  get memoryBytes(): number {
    const layers = this.freezer.memory.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return layers + this.intake.tail.sizeBytes;
  }

  /** Puts the index as it was read under the own generation: from then on none of an earlier owner counts. */
  async takeOver({ signal = NEVER }: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    await this.services.guard.assertLive(signal);
    await this.#indexObject.put(this.layers.published.index, signal);
  }

  /** Once the lease was verified after that: takes the recovered WAL, and begins to push. */
  async start(): Promise<void> {
    this.services.budget.add(this);
    const { tail, chunks } = this.#found;
    this.#found = { tail: undefined, chunks: [] };
    if (tail !== undefined) {
      const { bytes, start, end, lastInLayers } = tail;
      if (end > this.intake.lastRecordLsn) await this.intake.take(bytes, start);
      else if (lastInLayers !== undefined) this.intake.setLastRecordCrc(lastInLayers.crc);
      this.#emitRecovered(bytes.length);
    }
    this.push.adopt(chunks, this.intake.lastRecordLsn);
    this.push.start();
  }

  async takeWal(bytes: Uint8Array, start: Lsn): Promise<void> {
    this.push.signal.throwIfAborted();
    this.#assertWritable();
    const { budget } = this.services;
    if (budget.isUsedUp) {
      this.#setPressure(true);
      this.push.hurry();
      await budget.whenAvailable(this.push.signal);
      this.#setPressure(false);
    }
    await this.intake.take(bytes, start);
  }

  /** Another process writes the tenant now: nothing more is put. */
  fence(error: PageServerError): void {
    void this.push.stop(error);
    this.arrived.end(error);
  }

  /** Ends the background work. With `push`, everything goes to the storage first, unless the signal fires before. */
  async close(options: { readonly push: boolean; readonly signal: AbortSignal }): Promise<void> {
    const closed = closedError(this.timelineId);
    try {
      if (options.push) await this.push.push({ signal: options.signal });
    } finally {
      await this.push.stop(closed);
      this.arrived.end(closed);
      this.services.budget.remove(this);
      this.#view.close();
    }
  }

  async readClusterFacts(): Promise<ClusterFacts> {
    const value = await this.#view.get(CONTROL_FILE_KEY);
    if (value === undefined) throw noControlFile(this.timelineId);
    const { systemIdentifier, walSegmentSizeBytes } = decodeControlFile(value);
    return { systemIdentifier, segmentSize: walSegmentSizeBytes };
  }

  #state(): ReadableState {
    const { source } = this.layers;
    if (this.#view.source !== source) this.#view = this.#view.withSource(source);
    return { memory: this.freezer.memory, view: this.#view, redo: this.redo };
  }

  #isNewest(id: string, lsn: Lsn): boolean {
    if (lsn < this.layers.end) return false;
    const key = keyOfId(id);
    return this.freezer.memory.every((layer) => (layer.newestLsn(key) ?? lsn) <= lsn);
  }

  #onProgress(): void {
    this.arrived.advance(this.intake.lastRecordLsn);
    this.push.onWal();
  }

  #setPressure(isOn: boolean): void {
    if (this.#isUnderPressure === isOn) return;
    this.#isUnderPressure = isOn;
    const { timelineId, memoryBytes } = this;
    this.services.emit({ kind: 'back-pressure', timelineId, isOn, memoryBytes });
  }

  #emitRecovered(walBytes: number): void {
    this.services.emit({
      kind: 'recovered',
      timelineId: this.timelineId,
      diskConsistentLsn: formatLsn(this.layers.published.index.metadata.diskConsistentLsn),
      lastRecordLsn: formatLsn(this.intake.lastRecordLsn),
      walBytes,
    });
  }

  #assertWritable(): void {
    const { relSizeMigration } = this.layers.published.index;
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
