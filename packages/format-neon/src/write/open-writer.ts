import { availableParallelism } from 'node:os';
import {
  FormatError,
  PageFaultPolicy,
  type SnapshotWriter,
  type WriteContext,
} from '@neon-snapshot/format-core';
import { layerObjectKey } from '@neon-snapshot/neon-layer';
import { listTenantIds } from '../catalog/timelines.ts';
import { parseWriteOptions, type WriteOptions } from '../options.ts';
import { WorkerPool } from '../pages/worker-pool.ts';
import { planKeys } from './key-plan.ts';
import { LayerBuffers } from './layer-buffers.ts';
import { LayerPublisher } from './layer-publisher.ts';
import { LAYER_PUTS_MAX, planWriterMemory } from './memory-plan.ts';
import { NeonWriter } from './neon-writer.ts';
import { assertHoldable, describeLoss, settleLoss } from './source-checks.ts';

/**
 * Checks everything that can be known beforehand and makes the writer; writes nothing.
 * Errors: `FORMAT_UNSUPPORTED`, `FORMAT_NOT_SHUT_DOWN`, `FORMAT_LOSS`, `FORMAT_NOT_EMPTY`, `FORMAT_OPTION`, `FORMAT_INVALID`.
 */
export async function openWriter(context: WriteContext): Promise<SnapshotWriter> {
  const { source, services, storage } = context;
  const options = parseWriteOptions(context.options, services);
  const files = assertHoldable(source);
  const plan = planKeys({ files, postgresMajor: source.info.postgresMajor });
  const warn = (message: string) => services.warn(message);
  settleLoss(describeLoss({ info: source.info, plan }), { allowLoss: options.allowLoss, warn });
  await assertVacant(context, options);

  const memory = planWriterMemory({
    concurrency: context.concurrency,
    processorCount: availableParallelism(),
  });
  const abortController = new AbortController();
  const signal =
    context.signal === undefined
      ? abortController.signal
      : AbortSignal.any([context.signal, abortController.signal]);
  const { tenantId, timelineId, generation } = options;
  return new NeonWriter({
    context,
    options,
    plan,
    memory,
    abortController,
    pool: new WorkerPool({ url: encodeWorkerUrl(), count: memory.threadCount }),
    buffers: new LayerBuffers(memory.layerStoredBytesMax),
    publisher: new LayerPublisher({
      storage,
      keyOf: (layerName) => layerObjectKey({ tenantId, timelineId, layerName, generation }),
      putCountMax: LAYER_PUTS_MAX,
      signal,
    }),
    faults: new PageFaultPolicy({ ignore: options.ignorePageErrors, warn }),
  });
}

/** Where no tenant was asked for, the destination has to be free of any; else free of the one asked for. */
async function assertVacant(context: WriteContext, options: WriteOptions): Promise<void> {
  const tenantIds = await listTenantIds(context.storage, { signal: context.signal });
  const inTheWay = options.tenantIsExplicit ? tenantIds.filter((id) => id === options.tenantId) : tenantIds;
  const [tenantId] = inTheWay;
  if (tenantId === undefined) return;
  throw new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'open writer',
    message: `${context.storage.url} already holds tenant ${inTheWay.join(', ')}; attach it, or choose another destination or another --tenant_id`,
    context: { tenantId },
  });
}

function encodeWorkerUrl(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? '../pages/encode-worker.ts' : '../pages/encode-worker.js',
    import.meta.url,
  );
}
