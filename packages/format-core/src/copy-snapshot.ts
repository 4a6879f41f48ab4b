import { type CheckedPartition, checkedPartition } from './checked-partition.ts';
import type { SnapshotDescription, SnapshotReader, SnapshotWriter, WriteResult } from './format.ts';
import { FormatError } from './format-error.ts';
import type { ProgressListener } from './progress.ts';
import { ProgressTracker } from './progress-tracker.ts';

export interface CopySnapshotOptions {
  readonly reader: SnapshotReader;
  readonly writer: SnapshotWriter;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Partitions copied side by side, at most; the writer may take fewer. At least 1. */
  readonly concurrency: number;
}

/**
 * Copies one snapshot from a reader to a writer and publishes it.
 *
 * Every partition is checked ({@link checkedPartition}) and has to reach its end entry before the trailer is asked for. On
 * any failure, or when the signal fires, the other partitions are stopped, the writer is aborted and the first error
 * rejects. The caller disposes the reader.
 */
export async function copySnapshot(options: CopySnapshotOptions): Promise<WriteResult> {
  const { reader, writer } = options;
  const tracker = new ProgressTracker({
    listener: options.onProgress,
    bytesTotal: reader.info.bytesTotal,
    filesTotal: reader.plan?.length,
  });
  try {
    await copyPartitions(options, tracker);
    tracker.enter('publish');
    const trailer = await reader.finish();
    assertNotAborted(options.signal);
    return await writer.close(trailer);
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The description of an opened snapshot, for a writer's context. */
export function describeSource(reader: SnapshotReader, formatName: string): SnapshotDescription {
  return {
    info: reader.info,
    ...(reader.plan === undefined ? {} : { plan: reader.plan }),
    formatName,
  };
}

async function copyPartitions(options: CopySnapshotOptions, tracker: ProgressTracker): Promise<void> {
  const { reader, writer } = options;
  assertNotAborted(options.signal);
  const countMax = Math.max(1, Math.min(options.concurrency, writer.partitionCountMax));
  const failure = new AbortController();
  const signal =
    options.signal === undefined ? failure.signal : AbortSignal.any([options.signal, failure.signal]);
  const observer = {
    onBytes: (count: number) => tracker.addBytes(count),
    onFile: () => tracker.addFile(),
  };
  const partitions = reader
    .partitions(countMax)
    .map((partition) => checkedPartition(partition, observer, signal));
  const errors: unknown[] = [];
  await Promise.all(
    partitions.map(async (partition) => {
      try {
        await copyPartition(writer, partition);
      } catch (error) {
        // Kept in order of time: what the others say after it is only that they were stopped.
        errors.push(error);
        failure.abort(error);
      }
    }),
  );
  if (errors.length > 0) throw errors[0];
  assertNotAborted(options.signal);
}

async function copyPartition(writer: SnapshotWriter, partition: CheckedPartition): Promise<void> {
  await writer.writePartition(partition);
  if (partition.ended) return;
  throw new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'write partition',
    message: `the writer left partition ${partition.id} before its end`,
    context: { partition: partition.id },
  });
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new FormatError({
    code: 'FORMAT_ABORTED',
    operation: 'copy snapshot',
    message: 'the copy was aborted; nothing is visible at the destination',
    cause: signal.reason,
  });
}
