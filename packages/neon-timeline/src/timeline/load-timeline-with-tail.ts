import {
  type BuiltLayer,
  LayerMap,
  type LoadTimelineOptions,
  loadTimeline,
  type RedoFunction,
  type StoredLayer,
  type TimelineSource,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { createValueRedo } from '../redo/value-redo.ts';
import { type IngestedTail, ingestTail } from '../tail/ingest-tail.ts';
import { loadSettledTimeline } from '../tail/settled-timeline.ts';
import { tailPrefix } from '../tail/tail-chunk.ts';
import { withMemoryObjects } from './with-memory-objects.ts';

export interface LoadTimelineWithTailOptions extends LoadTimelineOptions {
  /** Default: that of the timeline's major. */
  readonly redo?: RedoFunction | undefined;
  /** Where the layers reach this LSN, the raw tail is not looked at. */
  readonly upTo?: Lsn | undefined;
}

/** A timeline up to the end of its raw tail. */
export interface TimelineWithTail {
  /** Its `disk_consistent_lsn` and last record are the tail's, and so are its newest layers. */
  readonly source: TimelineSource;
  /** The storage, with the layers that the tail was made into, which are in memory only. */
  readonly storage: Storage;
  /** Absent where the layers are all there is. */
  readonly tail:
    | {
        /** Where the stored layers end. */
        readonly start: Lsn;
        readonly end: Lsn;
        /** Of its chunks. */
        readonly generation: number;
      }
    | undefined;
}

/**
 * Loads a timeline as `loadTimeline`, with the raw WAL behind its layers: read and ingested here, in memory. A shard's timeline has none,
 * nor has an ancestor: a branch begins in its parent's layers. Throws what `loadTimeline`, `loadTail` and ingest throw.
 */
export async function loadTimelineWithTail(
  storage: Storage,
  options: LoadTimelineWithTailOptions,
): Promise<TimelineWithTail> {
  if (options.upTo !== undefined) {
    const source = await loadTimeline(storage, options);
    if (options.upTo <= source.index.metadata.diskConsistentLsn) return { source, storage, tail: undefined };
  }
  const { source, tail } = await loadSettledTimeline(storage, options);
  const { diskConsistentLsn: start, postgresMajor } = source.index.metadata;
  if (tail === undefined || tail.end <= start) return { source, storage, tail: undefined };
  const { redo = createValueRedo(postgresMajor), signal } = options;
  const ingested = await ingestTail(storage, { source, tail, redo, signal });
  const { end } = ingested;
  if (end <= start) return { source, storage, tail: undefined };
  const layers = ingested.layers.map((built) => storedLayer(source, built));
  return {
    source: extend(source, ingested, layers),
    storage: withMemoryObjects(
      storage,
      new Map(
        layers.map(({ objectKey }, index) => [
          objectKey,
          Buffer.concat(ingested.layers[index]?.chunks ?? []),
        ]),
      ),
    ),
    tail: { start, end, generation: tail.generation },
  };
}

/** Its key lies beside the raw WAL: errors name it. No such object is ever stored. */
function storedLayer({ tenant, timelineId }: TimelineSource, built: BuiltLayer): StoredLayer {
  const { desc, name, sizeBytes } = built;
  const objectKey = `${tailPrefix({ tenantId: tenant.tenantId, timelineId })}layers/${name}`;
  return { desc, name, objectKey, sizeBytes };
}

function extend(
  source: TimelineSource,
  { end, prevRecordLsn }: IngestedTail,
  layers: readonly StoredLayer[],
): TimelineSource {
  const { index } = source;
  const metadata = { ...index.metadata, diskConsistentLsn: end, prevRecordLsn };
  return {
    ...source,
    index: { ...index, diskConsistentLsn: end, metadata },
    layers: new LayerMap([...source.layers.layers, ...layers]),
  };
}
