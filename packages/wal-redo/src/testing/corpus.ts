import { type Lsn, lsn, type WalRecordDecoder } from '@neon-snapshot/postgres';
import type { RedoEngine, RedoLsn } from '../redo-engine.ts';
import { BasePages } from './base-pages.ts';
import { operationLabel } from './check-consistency.ts';
import type { RedoCluster } from './redo-cluster.ts';
import { engineFor } from './redo-harness.ts';
import { replayWal } from './replay-wal.ts';

/** A record of a real server, one of its blocks, and that block's page before it. */
export interface RedoSample {
  readonly operation: string;
  readonly bytes: Uint8Array;
  readonly blockIndex: number;
  readonly page: Uint8Array;
  readonly endLsn: Lsn;
}

/** A few samples for each operation, block id, and way to come (image, new page, change). */
export function collectSamples(cluster: RedoCluster, eachMax: number): RedoSample[] {
  const samples: RedoSample[] = [];
  const counts = new Map<string, number>();
  const engine = engineFor(cluster);
  const watching: RedoEngine = {
    settings: engine.settings,
    decoder: engine.decoder,
    redoBlock(record: WalRecordDecoder, blockIndex: number, page: Uint8Array, endLsn: RedoLsn): void {
      const block = record.block(blockIndex);
      const operation = operationLabel(record.resourceManager, record.info);
      const kind = `${operation} ${block.id} ${block.applyImage} ${block.willInit} ${record.info}`;
      const count = counts.get(kind) ?? 0;
      if (count < eachMax) {
        counts.set(kind, count + 1);
        samples.push({
          operation,
          bytes: record.bytes.slice(),
          blockIndex,
          page: page.slice(),
          endLsn: lsn(BigInt(endLsn)),
        });
      }
      engine.redoBlock(record, blockIndex, page, endLsn);
    },
  };
  replayWal(cluster, { engine: watching, pages: new BasePages(cluster.baseDirectory) });
  return samples;
}
