import {
  type DecodedWalBlock,
  type Lsn,
  readWalRecords,
  type WalRecordDecoder,
} from '@neon-snapshot/postgres';
import type { RedoEngine } from '../redo-engine.ts';
import { applyEffects } from '../replay/record-effects.ts';
import type { BasePages } from './base-pages.ts';
import type { RedoCluster } from './redo-cluster.ts';

const FREE_SPACE_FORK = 1;

export interface ReplayOptions {
  readonly engine: RedoEngine;
  readonly pages: BasePages;
  /** What to replay in place of a record. */
  readonly rewrite?: (record: Uint8Array) => Uint8Array;
  /** Called with the page as it is after redo, or with what redo threw. */
  readonly onBlock?: (at: ReplayedBlock) => void;
}

export interface ReplayedBlock {
  readonly record: WalRecordDecoder;
  readonly block: DecodedWalBlock;
  readonly start: Lsn;
  readonly endLsn: Lsn;
  readonly page: Uint8Array;
  readonly error: unknown;
}

export interface ReplayCounts {
  readonly records: number;
  readonly blocks: number;
  readonly bytes: number;
}

/** Applies all WAL of a cluster to its base pages, but for free space maps. Without `onBlock` redo's errors are thrown. */
export function replayWal(cluster: RedoCluster, options: ReplayOptions): ReplayCounts {
  const { engine, pages, onBlock } = options;
  const { decoder } = engine;
  let records = 0;
  let blocks = 0;
  let bytes = 0;
  for (const record of readWalRecords({ ...cluster.wal, start: cluster.start })) {
    records++;
    bytes += record.bytes.length;
    decoder.decode(options.rewrite === undefined ? record.bytes : options.rewrite(record.bytes));
    applyEffects(engine, pages);
    for (let index = 0; index < decoder.blockCount; index++) {
      const block = decoder.block(index);
      if (block.forkNum === FREE_SPACE_FORK) continue;
      blocks++;
      const page = pages.pageOf(block);
      const error = redo(engine, { index, page, endLsn: record.end });
      if (onBlock !== undefined)
        onBlock({ record: decoder, block, start: record.start, endLsn: record.end, page, error });
      else if (error !== undefined) throw error;
    }
  }
  return { records, blocks, bytes };
}

function redo(
  engine: RedoEngine,
  on: { readonly index: number; readonly page: Uint8Array; readonly endLsn: Lsn },
): unknown {
  try {
    engine.redoBlock(engine.decoder, on.index, on.page, on.endLsn);
    return undefined;
  } catch (error) {
    return error;
  }
}
