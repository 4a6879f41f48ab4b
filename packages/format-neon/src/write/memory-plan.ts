/**
 * How a writer's memory is divided. Everything that grows with the work is one of these; the sum with Node itself and its
 * threads stays below 250 MiB at any cluster size.
 */
import type { ImportLayout } from './import-journal.ts';

/** Partitions taken side by side, at most: each has an open layer. */
const PARTITIONS_MAX = 2;
/** Stored bytes of all open layers and of those on their way to the storage. */
const LAYER_BYTES_BUDGET = 40 * 1024 * 1024;
/** Image layers on their way at a time. */
export const LAYER_PUTS_MAX = 2;
/** No image layer stores more. */
const LAYER_STORED_BYTES_MAX = 32 * 1024 * 1024;
/** Encoding threads, at most. */
const THREADS_MAX = 8;

const ANY_LAYOUT: ImportLayout = {
  partitionCountMax: Number.POSITIVE_INFINITY,
  layerBytesMax: Number.POSITIVE_INFINITY,
};

export interface WriterMemoryPlan {
  readonly partitionCountMax: number;
  readonly layerStoredBytesMax: number;
  readonly threadCount: number;
  /** Slots of each partition: one filling, the others with the threads. */
  readonly slotsPerPartition: number;
}

export function planWriterMemory(options: {
  readonly concurrency: number;
  readonly processorCount: number;
  /** Of the interrupted run that is to be continued: its layers end where this one's do only with the same layout. */
  readonly earlierLayout?: ImportLayout | undefined;
}): WriterMemoryPlan {
  const { partitionCountMax: partitionCountEarlier, layerBytesMax } = options.earlierLayout ?? ANY_LAYOUT;
  const partitionCountMax = Math.max(1, Math.min(options.concurrency, partitionCountEarlier, PARTITIONS_MAX));
  const threadCount = Math.max(1, Math.min(options.concurrency, options.processorCount, THREADS_MAX));
  return {
    partitionCountMax,
    threadCount,
    layerStoredBytesMax: Math.min(
      LAYER_STORED_BYTES_MAX,
      layerBytesMax,
      Math.floor(LAYER_BYTES_BUDGET / (partitionCountMax + LAYER_PUTS_MAX)),
    ),
    slotsPerPartition: 2 + Math.ceil((2 * threadCount) / partitionCountMax),
  };
}
