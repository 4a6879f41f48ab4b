import { availableParallelism } from 'node:os';
import { PageFaultPolicy, type SnapshotWriter, type WriteContext } from '@neon-snapshot/format-core';
import { parseWriteOptions } from '../options.ts';
import { WorkerPool } from '../pages/worker-pool.ts';
import { WalScratch } from './backup/wal-scratch.ts';
import { findImport } from './find-import.ts';
import { describeImportSource } from './import-journal.ts';
import { ImportSession } from './import-session.ts';
import { planKeys } from './key-plan.ts';
import { LayerBuffers } from './layer-buffers.ts';
import { planWriterMemory } from './memory-plan.ts';
import { NeonWriter } from './neon-writer.ts';
import { assertHoldable, describeLoss, settleLoss } from './source-checks.ts';
import { assertVacant } from './vacancy.ts';

/**
 * Checks everything that can be known beforehand and makes the writer; writes nothing.
 * Errors: `FORMAT_UNSUPPORTED`, `FORMAT_LOSS`, `FORMAT_NOT_EMPTY`, `FORMAT_OPTION`, `FORMAT_INVALID`.
 */
export async function openWriter(context: WriteContext): Promise<SnapshotWriter> {
  const { source: described, services } = context;
  const options = parseWriteOptions(context.options);
  const files = assertHoldable(described);
  const { postgresMajor, consistency, walSegmentSizeBytes } = described.info;
  const isBackup = consistency.kind === 'needs-wal';
  const plan = planKeys({ files, postgresMajor, isBackup });
  const warn = (message: string) => services.warn(message);
  settleLoss(describeLoss({ info: described.info, plan }), { allowLoss: options.allowLoss, warn });
  await assertVacant(context, options);
  const source = describeImportSource(described.info, files);
  const choice = await findImport({ context, options, source });

  const memory = planWriterMemory({
    concurrency: context.concurrency,
    processorCount: availableParallelism(),
    earlierLayout: choice.journal?.layout,
  });
  const layout = choice.journal?.layout ?? {
    partitionCountMax: memory.partitionCountMax,
    layerBytesMax: memory.layerStoredBytesMax,
  };
  const abortController = new AbortController();
  const signal =
    context.signal === undefined
      ? abortController.signal
      : AbortSignal.any([context.signal, abortController.signal]);
  return new NeonWriter({
    context,
    plan,
    wal: isBackup ? new WalScratch(walSegmentSizeBytes) : undefined,
    memory,
    abortController,
    pool: new WorkerPool({ url: encodeWorkerUrl(), count: memory.threadCount }),
    buffers: new LayerBuffers(memory.layerStoredBytesMax),
    session: new ImportSession({ context, options, choice, source, layout, signal }),
    faults: new PageFaultPolicy({ ignore: options.ignorePageErrors, warn }),
  });
}

function encodeWorkerUrl(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? '../pages/encode-worker.ts' : '../pages/encode-worker.js',
    import.meta.url,
  );
}
