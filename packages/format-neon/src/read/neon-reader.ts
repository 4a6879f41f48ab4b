import {
  type DirectoryEntry,
  type FileEntry,
  type PageFaultPolicy,
  type PlannedFile,
  type SnapshotInfo,
  type SnapshotPartition,
  type SnapshotReader,
  type SnapshotTrailer,
  withEnd,
} from '@neon-snapshot/format-core';
import type { TimelineReader } from '@neon-snapshot/neon-layer';
import { translatingItems } from '../layer-faults.ts';
import type { DecodeRequest, DecodeResult } from '../pages/decode-worker.ts';
import { PageBuffers } from '../pages/page-buffers.ts';
import type { WorkerPool } from '../pages/worker-pool.ts';
import type { StockFallback } from '../stock/stock-fallback.ts';
import type { ExportFile } from './export-files.ts';
import { partitionEntries } from './partition-entries.ts';
import { splitFiles } from './partition-plan.ts';

/** Partitions read side by side, at most: each has batches and pages of its own in memory. */
const PARTITIONS_MAX = 4;

export interface NeonReaderParts {
  readonly info: SnapshotInfo;
  readonly files: readonly ExportFile[];
  readonly directories: readonly string[];
  readonly controlFile: Uint8Array;
  readonly view: TimelineReader;
  readonly pool: WorkerPool<DecodeRequest, DecodeResult>;
  readonly threadCount: number;
  readonly modifiedAt: Date;
  readonly warn: (message: string) => void;
  readonly faults: PageFaultPolicy;
  /** Ends with the reader. */
  readonly fallback: StockFallback;
  readonly signal?: AbortSignal | undefined;
}

/** A timeline at one LSN as a snapshot of a cleanly stopped cluster. */
export class NeonReader implements SnapshotReader {
  readonly info: SnapshotInfo;
  readonly plan: readonly PlannedFile[];
  readonly #parts: NeonReaderParts;
  readonly #buffers = new PageBuffers();
  #zeroPages = 0;

  constructor(parts: NeonReaderParts) {
    this.info = parts.info;
    this.plan = parts.files;
    this.#parts = parts;
  }

  partitions(countMax: number): readonly SnapshotPartition[] {
    const runs = splitFiles(this.#parts.files, Math.min(countMax, PARTITIONS_MAX));
    this.#parts.pool.warmUp();
    const jobCountMax = 1 + Math.ceil((2 * this.#parts.threadCount) / runs.length);
    return runs.map((files, index) => ({
      id: `${index}`,
      plan: files,
      entries: withEnd(translatingItems(this.#entries({ files, jobCountMax, isFirst: index === 0 }))),
    }));
  }

  async finish(): Promise<SnapshotTrailer> {
    this.#parts.faults.summarize();
    if (this.#zeroPages > 0) {
      const count = this.#zeroPages === 1 ? '1 page' : `${this.#zeroPages} pages`;
      this.#parts.warn(
        `${count} of free space and visibility maps could not be made from the layers and left empty; VACUUM makes them anew`,
      );
    }
    const { recordCount } = this.#parts.fallback;
    if (recordCount > 0) {
      this.#parts.warn(
        `${recordCount === 1 ? '1 WAL record was' : `${recordCount} WAL records were`} not known to our redo and replayed by stock Postgres`,
      );
    }
    return { controlFile: this.#parts.controlFile };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.pool[Symbol.asyncDispose]();
    await this.#parts.fallback[Symbol.asyncDispose]();
  }

  async *#entries(run: {
    readonly files: readonly ExportFile[];
    readonly jobCountMax: number;
    readonly isFirst: boolean;
  }): AsyncGenerator<DirectoryEntry | FileEntry, void, undefined> {
    const { directories, view, pool, modifiedAt, signal, info, faults, fallback } = this.#parts;
    if (run.isFirst) for (const path of directories) yield { kind: 'directory', path };
    yield* partitionEntries({
      files: run.files,
      view,
      pool,
      buffers: this.#buffers,
      postgresMajor: info.postgresMajor,
      hasChecksums: info.dataChecksums,
      isImported: view.source.ancestor === undefined && view.lsn === view.source.index.metadata.initdbLsn,
      onPageFault: (fault) => faults.report(fault),
      onZeroPages: (count) => {
        this.#zeroPages += count;
      },
      fallback: fallback.redo,
      jobCountMax: run.jobCountMax,
      modifiedAt,
      signal,
    });
  }
}
