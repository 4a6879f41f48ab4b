import {
  type FileEntry,
  FormatError,
  type PageFaultPolicy,
  type SnapshotPartition,
  type SnapshotTrailer,
  type SnapshotWriter,
  type WriteContext,
  type WriteResult,
} from '@neon-snapshot/format-core';
import { formatLsn } from '@neon-snapshot/postgres';
import { readAll } from '@neon-snapshot/storage-core';
import { CONFIGURATION_FILE_BYTES_MAX } from '../cluster-objects.ts';
import { translating } from '../layer-faults.ts';
import type { EncodeRequest, EncodeResult } from '../pages/encode-worker.ts';
import type { WorkerPool } from '../pages/worker-pool.ts';
import { imageLsnOf } from './backup/backup-source.ts';
import type { WalScratch } from './backup/wal-scratch.ts';
import type { ImportSession } from './import-session.ts';
import type { KeyPlan } from './key-plan.ts';
import type { LayerBuffers } from './layer-buffers.ts';
import { LayerSink } from './layer-sink.ts';
import type { WriterMemoryPlan } from './memory-plan.ts';
import { KEPT_BYTES_MAX } from './planned-cluster.ts';
import { publishTimeline } from './publish-timeline.ts';
import { SlotFeeder } from './slot-feeder.ts';

export interface NeonWriterParts {
  readonly context: WriteContext;
  readonly plan: KeyPlan;
  /** Of a base backup: where its WAL waits. */
  readonly wal: WalScratch | undefined;
  readonly memory: WriterMemoryPlan;
  readonly pool: WorkerPool<EncodeRequest, EncodeResult>;
  readonly buffers: LayerBuffers;
  readonly session: ImportSession;
  readonly faults: PageFaultPolicy;
  /** Fired by `abort`; everything that runs listens to it. */
  readonly abortController: AbortController;
}

/** Writes a snapshot as a timeline: image layers as pages arrive, our own objects, and the index last. */
export class NeonWriter implements SnapshotWriter {
  readonly partitionCountMax: number;
  readonly #parts: NeonWriterParts;
  readonly #held = new Map<string, Uint8Array>();
  readonly #streamed = new Set<string>();
  #isClosed = false;

  constructor(parts: NeonWriterParts) {
    this.#parts = parts;
    this.partitionCountMax = parts.memory.partitionCountMax;
  }

  writePartition(partition: SnapshotPartition): Promise<void> {
    return this.#explaining(() => this.#writePartition(partition));
  }

  close(trailer: SnapshotTrailer): Promise<WriteResult> {
    return this.#explaining(() => this.#close(trailer));
  }

  async abort(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { abortController, pool, session, wal } = this.#parts;
    abortController.abort(new Error('the import was aborted'));
    await pool[Symbol.asyncDispose]();
    await wal?.[Symbol.asyncDispose]();
    await session.abandon();
  }

  async #writePartition(partition: SnapshotPartition): Promise<void> {
    const { context, memory, pool, session, buffers, faults, wal } = this.#parts;
    const { info } = context.source;
    pool.warmUp();
    const { tenantId, timelineId, publisher } = await session.begin();
    const imageLsn = imageLsnOf(info);
    const sink = new LayerSink({ publisher, buffers, tenantId, timelineId, lsn: imageLsn });
    const feeder = new SlotFeeder({
      pool,
      sink,
      slotCount: memory.slotsPerPartition,
      dataChecksums: info.dataChecksums,
      backupStart: wal === undefined ? undefined : imageLsn,
      onFault: (fault) => faults.report(fault),
    });
    for await (const entry of partition.entries) {
      if (entry.kind === 'link') throw unexpected(entry.path, 'a tablespace link');
      if (entry.kind === 'file') await this.#takeFile(entry, feeder);
    }
    await feeder.finish();
    await sink.finish();
  }

  async #close(trailer: SnapshotTrailer): Promise<WriteResult> {
    const { context, plan, session, faults, wal } = this.#parts;
    this.#assertComplete();
    faults.summarize();
    const running = await session.begin();
    const { publisher, tenantId, timelineId, generation } = running;
    const { bytes, objects, end } = await translating(() =>
      publishTimeline({
        ...this.#parts,
        running,
        signal: this.#parts.abortController.signal,
        held: this.#held,
        trailer,
      }),
    );
    this.#isClosed = true;
    await session.finish();
    await this.#parts.pool[Symbol.asyncDispose]();
    await wal?.[Symbol.asyncDispose]();
    return {
      facts: {
        tenant_id: tenantId,
        timeline_id: timelineId,
        generation,
        lsn: formatLsn(end.lsn),
        postgres_major: context.source.info.postgresMajor,
        databases: plan.databaseCount,
        layers: publisher.layers.size,
        layers_reused: publisher.reusedCount,
        page_errors: faults.faultCount,
      },
      bytesWritten: bytes,
      objectsWritten: objects,
    };
  }

  /** What a lost lease has stopped fails with its loss. */
  async #explaining<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw this.#parts.session.explain(error);
    }
  }

  async #takeFile(entry: FileEntry, feeder: SlotFeeder): Promise<void> {
    const { plan, wal } = this.#parts;
    const streamed = plan.streamed.get(entry.path);
    if (streamed !== undefined) {
      this.#assertFirst(entry.path, this.#streamed.has(entry.path));
      this.#streamed.add(entry.path);
      await feeder.addFile(streamed, entry.body);
      return;
    }
    if (plan.held.has(entry.path)) {
      this.#assertFirst(entry.path, this.#held.has(entry.path));
      const sizeMaxBytes = Math.max(KEPT_BYTES_MAX, CONFIGURATION_FILE_BYTES_MAX);
      this.#held.set(entry.path, await readAll(entry.body, { sizeMaxBytes, key: entry.path }));
      return;
    }
    if (wal?.takes(entry.path) === true) return wal.take(entry);
    for await (const _ of entry.body);
  }

  #assertFirst(path: string, isKnown: boolean): void {
    if (isKnown) throw unexpected(path, 'a second time');
  }

  #assertComplete(): void {
    const { plan } = this.#parts;
    for (const path of plan.streamed.keys()) if (!this.#streamed.has(path)) throw neverCame(path);
    for (const path of plan.held) if (!this.#held.has(path)) throw neverCame(path);
  }
}

function unexpected(path: string, what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'write partition',
    message: `The snapshot sends ${path} ${what}, which its plan does not announce`,
    context: { path },
  });
}

function neverCame(path: string): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'close',
    message: `The snapshot announced ${path} and never sent it; nothing was published`,
    context: { path },
  });
}
