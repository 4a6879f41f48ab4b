import {
  encodeIndexPart,
  LayerMap,
  layerObjectKey,
  parseIndexPart,
  parseLayerName,
  type StoredLayer,
  type TimelineSource,
  TimelineView,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import { createValueRedo, type IngestedBackupWal, ingestBackupWal } from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { HeldValuesSource } from '../held-files.ts';
import type { RunningImport } from '../import-session.ts';
import type { BackupSource } from './backup-source.ts';
import { PlannedState } from './planned-state.ts';
import type { WalScratch } from './wal-scratch.ts';

export interface BackupIngest {
  readonly storage: Storage;
  readonly running: RunningImport;
  readonly backup: BackupSource;
  readonly wal: WalScratch;
  readonly values: HeldValuesSource;
  readonly facts: {
    readonly postgresMajor: number;
    readonly systemIdentifier: bigint;
    readonly walSegmentSizeBytes: number;
  };
  /** An index with the layers so far that ends at an LSN. */
  readonly makeIndex: (end: Lsn) => Parameters<typeof encodeIndexPart>[0];
  readonly signal: AbortSignal;
}

/** Publishes the WAL of a base backup as L0 layers over its images, all of which are there. */
export async function ingestBackup(of: BackupIngest): Promise<IngestedBackupWal> {
  const { backup, wal, values, facts, running, signal } = of;
  const { publisher, tenantId, timelineId } = running;
  const { start, end, hasEndRecord, timeLineId } = backup;
  return ingestBackupWal({
    tenantId,
    timelineId,
    start,
    end,
    hasEndRecord,
    major: facts.postgresMajor,
    systemIdentifier: facts.systemIdentifier,
    segmentSize: facts.walSegmentSizeBytes,
    wal: wal.read(start, timeLineId),
    base: new PlannedState(values),
    onLayer: ({ name, chunks }) => publisher.publish({ name, bytes: Buffer.concat(chunks) }),
    openPages: async (lsn) => {
      await publisher.drain();
      const redo = createValueRedo(facts.postgresMajor);
      return TimelineView.open(of.storage, sourceOf(of, lsn), { lsn, redo, signal });
    },
    signal,
  });
}

/** The timeline as its index would have it; no such index is stored. */
function sourceOf({ running, makeIndex }: BackupIngest, end: Lsn): TimelineSource {
  const { tenantId, timelineId, generation, publisher } = running;
  const layers = [...publisher.layers].map(
    ([name, layer]): StoredLayer => ({
      desc: parseLayerName(name),
      name,
      objectKey: layerObjectKey({
        tenantId,
        timelineId,
        layerName: name,
        ...(layer.generation === undefined ? {} : { generation: layer.generation }),
      }),
      sizeBytes: layer.sizeBytes,
    }),
  );
  return {
    tenant: { tenantId, shard: UNSHARDED },
    timelineId,
    generation,
    index: parseIndexPart(encodeIndexPart(makeIndex(end))),
    layers: new LayerMap(layers),
    ancestor: undefined,
  };
}
