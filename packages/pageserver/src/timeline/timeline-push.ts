import type { BuiltLayer, StoredLayer } from '@neon-snapshot/neon-layer';
import type { TailChunk } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import type { WalIntake } from '../ingest/wal-intake.ts';
import { isPageServerError } from '../page-server-error.ts';
import type { IndexObject } from '../push/index-object.ts';
import { IndexPublisher, type Published } from '../push/index-publisher.ts';
import { persist } from '../push/persist.ts';
import { PushPace } from '../push/push-pace.ts';
import { SerialQueue } from '../push/serial-queue.ts';
import { TailPusher } from '../push/tail-pusher.ts';
import type { Freezer } from './freezer.ts';
import { LsnWaiters } from './lsn-waiters.ts';
import type { StorageHealth } from './storage-health.ts';
import type { TimelineLayers } from './timeline-layers.ts';
import type { TimelineServices } from './timeline-services.ts';
import type { CallOptions, LayerChange, PushState, TimelineMetrics, WaitOptions } from './timeline-types.ts';
import { WakeUp } from './wake-up.ts';

export interface TimelinePushOptions {
  readonly services: TimelineServices;
  readonly timelineId: string;
  readonly layers: TimelineLayers;
  readonly intake: WalIntake;
  readonly freezer: Freezer;
  readonly health: StorageHealth;
  readonly indexObject: IndexObject;
  readonly onMemoryFreed: () => void;
}

/** Chunks are told of no more often than this, together: with `remote` there is one for every commit or two. */
const TOLD_PAUSE_MS = 500;

type Counters = Omit<
  TimelineMetrics,
  'walBytesReceived' | 'recordsIngested' | 'pagesRead' | 'storageFailures' | 'memoryBytes'
>;

/** Brings a timeline to the storage: raw WAL every so often or at once, layers and an index now and then, everything on demand. */
export class TimelinePush {
  readonly #options: TimelinePushOptions;
  readonly #ended = new AbortController();
  readonly #durable: LsnWaiters;
  readonly #publisher: IndexPublisher;
  readonly #tail: TailPusher;
  readonly #pushes = new SerialQueue();
  readonly #tailWake: WakeUp;
  readonly #layerWake: WakeUp;
  readonly #loops: Promise<void>[] = [];
  readonly #counters: { -readonly [Name in keyof Counters]: Counters[Name] } = {
    layersPushed: 0,
    layerBytesPushed: 0,
    tailChunksPushed: 0,
    tailBytesPushed: 0,
    indexesPushed: 0,
  };
  /** With `remote`: nothing is to be put before the start, and what arrives in one turn goes together. */
  #isStarted = false;
  #isTailRequested = false;
  /** Bytes of chunks that were not told of yet, and when others were. */
  #untoldBytes = 0;
  #toldAtMs = 0;
  #behindSince: Date | undefined;
  #lastPushAt: Date | undefined;

  constructor(options: TimelinePushOptions) {
    this.#options = options;
    const { services, timelineId, layers, intake, indexObject } = options;
    const { storage, cache, guard, clock, config, tenantId } = services;
    const { signal } = this.#ended;
    this.#tailWake = new WakeUp(clock);
    this.#layerWake = new WakeUp(clock);
    this.#durable = new LsnWaiters(
      `timeline ${timelineId} is in the storage up to`,
      layers.published.index.metadata.diskConsistentLsn,
    );
    this.#publisher = new IndexPublisher({
      storage,
      cache,
      layers,
      indexObject,
      guard,
      persist: this.#persist,
      signal,
      onLayer: (sizeBytes) => {
        this.#counters.layersPushed += 1;
        this.#counters.layerBytesPushed += sizeBytes;
      },
    });
    this.#tail = new TailPusher({
      storage,
      tenantId,
      timelineId,
      durability: config.durability,
      guard,
      tail: intake.tail,
      recordEnd: () => intake.lastRecordLsn,
      persist: this.#persist,
      signal,
      onDurable: (end) => this.#advance(end),
      onChunk: (sizeBytes) => this.#onChunk(sizeBytes),
    });
  }

  /** Fires when the timeline is closed. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get durableLsn(): Lsn {
    return this.#durable.reached;
  }

  get counters(): Counters {
    return this.#counters;
  }

  get state(): PushState {
    return {
      lagBytes: Number(this.#options.intake.lastRecordLsn - this.durableLsn),
      behindSince: this.#behindSince,
      lastPushAt: this.#lastPushAt,
      failure: this.#options.health.failure,
    };
  }

  waitForDurable(lsn: Lsn, options?: WaitOptions): Promise<void> {
    return this.#durable.wait(lsn, options);
  }

  /** Raw WAL that is in the storage, up to `end`. Before `start`. */
  adopt(chunks: readonly TailChunk[], end: Lsn): void {
    this.#tail.adopt(chunks);
    this.#options.intake.tail.discard(end);
    this.#advance(end);
  }

  start(): void {
    this.#isStarted = true;
    if (this.#isRemote) this.#requestTail();
    else this.#loops.push(this.#keepPushingTail());
    this.#loops.push(this.#keepPushingLayers());
  }

  /** There is new WAL, as far as records are complete. */
  onWal(): void {
    const { intake, layers, services } = this.#options;
    const { config, clock } = services;
    if (intake.lastRecordLsn > this.durableLsn) this.#behindSince ??= clock.now();
    if (this.#isRemote) this.#requestTail();
    if (intake.lastRecordLsn - layers.end >= config.layerBytesMax) this.#layerWake.wake();
  }

  onDurable(listener: () => void): () => void {
    return this.#durable.subscribe(listener);
  }

  hurryTail(): void {
    if (this.#isRemote) this.#requestTail();
    else this.#tailWake.wake();
  }

  /** Memory is short. */
  hurry(): void {
    this.hurryTail();
    this.#layerWake.wake();
  }

  pushTail({ signal }: CallOptions = {}): Promise<void> {
    return untilAborted(this.#tail.push(), signal);
  }

  push({ signal }: CallOptions = {}): Promise<void> {
    return untilAborted(
      this.#pushes.run(() => this.#pushAll()),
      signal,
    );
  }

  async putLayer(built: BuiltLayer, { signal }: CallOptions = {}): Promise<StoredLayer> {
    const { layers, services } = this.#options;
    const layer = layers.describe(built.name, built.sizeBytes);
    await services.cache.add(layer.objectKey, built.chunks);
    await untilAborted(this.#publisher.putLayer(layer), signal);
    return layer;
  }

  async publish(change: LayerChange, { signal }: CallOptions = {}): Promise<readonly StoredLayer[]> {
    const published = await untilAborted(this.#publisher.publish(change), signal);
    this.#onPublished(published);
    return published.removed;
  }

  /** Gives up what is under way. */
  async stop(reason: unknown): Promise<void> {
    this.#ended.abort(reason);
    this.#durable.end(reason);
    this.hurry();
    await Promise.allSettled(this.#loops);
  }

  async #pushAll(): Promise<void> {
    const { intake, layers, freezer, services } = this.#options;
    if (intake.lastRecordLsn <= layers.published.index.metadata.diskConsistentLsn) return;
    const startedAt = services.clock.now().getTime();
    // The raw WAL first: the last record's bytes stay there as the proof of what was last.
    await this.#tail.push();
    await this.#persist('write a layer', () => freezer.freeze());
    this.#options.onMemoryFreed();
    const published = await this.#publisher.publish({});
    this.#onPublished(published, services.clock.now().getTime() - startedAt);
    if (published.previousRecord !== undefined) await this.#tail.forget(published.previousRecord);
  }

  #onPublished(published: Published, durationMs = 0): void {
    const { services, timelineId, onMemoryFreed } = this.#options;
    this.#counters.indexesPushed += 1;
    this.#lastPushAt = services.clock.now();
    this.#advance(published.diskConsistentLsn);
    onMemoryFreed();
    services.emit({
      kind: 'layers-pushed',
      timelineId,
      diskConsistentLsn: formatLsn(published.diskConsistentLsn),
      layerCount: published.layerCount,
      sizeBytes: published.layerBytes,
      durationMs,
    });
  }

  #onChunk(sizeBytes: number): void {
    const { services, timelineId, onMemoryFreed, intake } = this.#options;
    this.#counters.tailChunksPushed += 1;
    this.#counters.tailBytesPushed += sizeBytes;
    this.#lastPushAt = services.clock.now();
    onMemoryFreed();
    this.#untoldBytes += sizeBytes;
    const nowMs = this.#lastPushAt.getTime();
    if (nowMs >= this.#toldAtMs && nowMs - this.#toldAtMs < TOLD_PAUSE_MS) return;
    const lsn = formatLsn(intake.tail.start);
    services.emit({ kind: 'tail-pushed', timelineId, lsn, sizeBytes: this.#untoldBytes });
    [this.#untoldBytes, this.#toldAtMs] = [0, nowMs];
  }

  #advance(end: Lsn): void {
    this.#durable.advance(end);
    const isBehind = this.#options.intake.lastRecordLsn > this.durableLsn;
    this.#behindSince = isBehind ? this.#options.services.clock.now() : undefined;
  }

  get #isRemote(): boolean {
    return this.#options.services.config.durability === 'remote';
  }

  /** A put at the next turn: a sleep to be ended cost more for each commit than its records. The next chunk need not wait until the one before counts. */
  #requestTail(): void {
    if (!this.#isStarted || this.#isTailRequested) return;
    this.#isTailRequested = true;
    setImmediate(() => {
      this.#isTailRequested = false;
      if (this.#ended.signal.aborted) return;
      try {
        this.#tail.request();
      } catch (error) {
        this.#options.health.onFailure('push', error, 1);
      }
    });
  }

  async #keepPushingTail(): Promise<void> {
    const { config, clock } = this.#options.services;
    const pace = new PushPace(config.pushIntervalMs);
    await this.#keepDoing(
      this.#tailWake,
      () => pace.pauseMs,
      async () => {
        const { tailChunksPushed } = this.#counters;
        const startedAt = clock.now().getTime();
        await this.#tail.push();
        if (this.#counters.tailChunksPushed > tailChunksPushed) pace.onPut(clock.now().getTime() - startedAt);
      },
    );
  }

  async #keepPushingLayers(): Promise<void> {
    const { layerIntervalMs } = this.#options.services.config;
    await this.#keepDoing(
      this.#layerWake,
      () => layerIntervalMs,
      () => this.push(),
    );
  }

  async #keepDoing(wake: WakeUp, pauseMs: () => number, work: () => Promise<void>): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await wake.sleep(pauseMs());
      if (this.#ended.signal.aborted) return;
      try {
        await work();
      } catch (error) {
        if (this.#ended.signal.aborted || isPageServerError(error, 'PAGESERVER_FENCED')) return;
        // What the storage fails with is repeated where it happens; anything else waits for the next turn.
        this.#options.health.onFailure('push', error, 1);
      }
    }
  }

  readonly #persist = <Result>(what: string, work: () => Promise<Result>): Promise<Result> => {
    const { services, health } = this.#options;
    return persist(work, {
      clock: services.clock,
      signal: this.#ended.signal,
      onFailure: (error, attempt) => health.onFailure(what, error, attempt),
      onSuccess: (attempts) => health.onSuccess(what, attempts),
    });
  };
}

/** Waits no longer than the signal lets; the work goes on. */
async function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
