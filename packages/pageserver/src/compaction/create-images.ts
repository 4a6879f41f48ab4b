import {
  BLOCK_SIZE,
  createPageCompressor,
  ImageLayerBuilder,
  KEY_MAX,
  type PageCompressor,
  SPARSE_KEYS_START,
  TimelineView,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { ChangedPages } from './changed-pages.ts';
import { type DueOptions, deepRanges, duePartitions, imageLsn } from './image-plan.ts';
import { collectKeyspace } from './keyspace.ts';
import { liveValues, type StoredValue } from './live-values.ts';
import { type KeyPartition, partitionKeys } from './partition.ts';
import type { StagedLayers } from './staged-layers.ts';
import type { CompactionTarget } from './target.ts';

/** Index bytes of one value, at most: key and offset. */
const INDEX_ENTRY_BYTES_MAX = 24;
/** Head, padding and the partly filled nodes of the index. */
const LAYER_OVERHEAD_BYTES = 6 * BLOCK_SIZE;
/** New layers are published when they are so large together: what is built when a run fails is lost. */
const PUBLISH_BYTES = 256 * 1024 * 1024;

export interface CreateImagesOptions extends CallOptions, Omit<DueOptions, 'at'> {
  /** Bytes of pages of one part of the key space: where one delta layer too many lies, all of it is made anew. */
  readonly partitionBytes: number;
  /** Bytes of an image layer at most: so much is in memory. */
  readonly imageBytesMax: number;
}

/**
 * Makes image layers where reads pass too many delta layers. One new layer is in memory at a time. Gives the LSN of the
 * images; undefined where none are due.
 */
export async function createImages(
  target: CompactionTarget,
  staged: StagedLayers,
  options: CreateImagesOptions,
): Promise<Lsn | undefined> {
  const { source, storage, redo } = target;
  const at = imageLsn(source.layers.layers);
  if (at === undefined) return undefined;
  const { layers } = source.layers;
  if (deepRanges(layers, { at, deltasMin: options.deltasMin }).length === 0) return undefined;
  const view = await TimelineView.open(storage, source, { lsn: at, redo, signal: options.signal });
  const compressor = createPageCompressor();
  try {
    const keyspace = await collectKeyspace(view, options);
    const partitions = partitionKeys(keyspace, Math.max(1, Math.floor(options.partitionBytes / BLOCK_SIZE)));
    const due = duePartitions(partitions, layers, { ...options, at });
    if (due.length === 0) return undefined;
    for (const partition of due) {
      await writeImages({ target, staged, view, compressor, partition }, options);
      if (staged.waitingBytes >= PUBLISH_BYTES) await staged.publish([], options);
    }
  } finally {
    view.close();
    compressor.close();
  }
  if (staged.waiting.length > 0) await staged.publish([], options);
  return at;
}

interface PartitionWork {
  readonly target: CompactionTarget;
  readonly staged: StagedLayers;
  readonly view: TimelineView;
  readonly compressor: PageCompressor;
  readonly partition: KeyPartition;
}

/** Image layers over one part of the key space, each beginning where the one before ended. */
async function writeImages(work: PartitionWork, options: CreateImagesOptions): Promise<void> {
  const { target, staged, view, compressor, partition } = work;
  const { tenantId, timelineId } = target;
  const open = (keyStart: Uint8Array) =>
    new ImageLayerBuilder({ tenantId, timelineId, lsn: view.lsn, keyStart });
  const { signal } = options;
  const pages = new ChangedPages({ lsn: view.lsn, redo: target.redo, compressor, signal });
  try {
    let builder = open(partition.range.start);
    for await (const { key, blob } of valuesOf(work, pages, options)) {
      if (builder.entryCount > 0 && !fits(builder, blob.length, options)) {
        await staged.put(builder.finish(key), options);
        builder = open(key);
      }
      builder.appendBlob(key, blob);
    }
    await staged.put(builder.finish(partition.range.end), options);
  } finally {
    pages.close();
  }
}

async function* valuesOf(
  { view, compressor, partition }: PartitionWork,
  pages: ChangedPages,
  { signal }: CallOptions,
): AsyncGenerator<StoredValue> {
  const { keys, range } = partition;
  yield* liveValues(keys, range, { view, compressor, pages, signal });
  if (range.end !== KEY_MAX) return;
  for await (const group of view.scan({ start: SPARSE_KEYS_START, end: KEY_MAX }, { signal })) {
    for (const { key, value } of group) yield { key, blob: compressor.encodeBlob(value) };
  }
}

function fits(builder: ImageLayerBuilder, length: number, { imageBytesMax }: CreateImagesOptions): boolean {
  const indexBytes = (builder.entryCount + 1) * INDEX_ENTRY_BYTES_MAX;
  return LAYER_OVERHEAD_BYTES + builder.storedBytes + length + indexBytes <= imageBytesMax;
}
