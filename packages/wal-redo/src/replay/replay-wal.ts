import {
  type ForkNumber,
  type Lsn,
  lsn,
  type RelTag,
  WalRecordScanner,
  type WalSource,
} from '@neon-snapshot/postgres';
import type { RedoEngine } from '../redo-engine.ts';
import type { PageRanges, ReplayShare } from './page-ranges.ts';
import { applyEffects } from './record-effects.ts';

export interface ReplayWalOptions {
  readonly engine: RedoEngine;
  readonly wal: WalSource;
  /** Start of a record: where the pages' source stands, or earlier. */
  readonly start: Lsn;
  /** Records that start here or later are left out; default: the end of valid WAL. */
  readonly end?: Lsn;
  readonly pages: PageRanges;
  /** That of `pages`: only then are all CRCs checked by the threads together, and each by one. */
  readonly share?: ReplayShare;
}

export interface ReplayCounts {
  /** Of the whole WAL, whoever redid them. */
  readonly records: number;
  readonly bytes: number;
  /** Redone here. */
  readonly blocks: number;
  /** End of the last record. */
  readonly end: Lsn;
}

const FREE_SPACE_FORK = 1;

/**
 * Applies all WAL to pages, but for free space maps: page changes only, so relations that are dropped, created, or copied
 * as files are not told from others. Throws RedoError, and for WAL what `readWalRecords` throws.
 */
export function replayWal(options: ReplayWalOptions): ReplayCounts {
  const { engine, pages, wal, start, end, share } = options;
  const { decoder } = engine;
  const scanner = new WalRecordScanner({
    ...wal,
    start,
    ...(end === undefined ? {} : { end }),
    ...(share === undefined ? {} : { crcShare: share }),
  });
  let records = 0;
  let blocks = 0;
  let bytes = 0;
  while (scanner.next()) {
    records++;
    bytes += scanner.length;
    decoder.decodeAt(scanner.bytes, scanner.offset, scanner.length);
    applyEffects(engine, pages);
    for (let index = 0; index < decoder.blockCount; index++) {
      const block = decoder.block(index);
      // The decoder lets no other fork through.
      const tag = block as RelTag & { forkNum: ForkNumber };
      if (block.forkNum === FREE_SPACE_FORK || !pages.has(tag, block.blockNumber)) continue;
      blocks++;
      engine.redoBlock(decoder, index, pages.pageBytes(tag, block.blockNumber), scanner.end);
    }
  }
  return { records, blocks, bytes, end: scanner.walEnd?.lsn ?? lsn(BigInt(scanner.end)) };
}
