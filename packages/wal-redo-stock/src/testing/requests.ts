import { type ForkNumber, isNewPage, type RelTag, type WalRecordDecoder } from '@neon-snapshot/postgres';
import { type RedoEngine, relationTruncation, visibilityClears } from '@neon-snapshot/wal-redo';
import type { StockPageRecord } from '../page-request.ts';
import type { StockCluster } from './stock-cluster.ts';

export interface PageHistory {
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly base: Uint8Array | undefined;
  readonly records: StockPageRecord[];
  /** Every record refers to the page. */
  refers: boolean;
}

const FREE_SPACE_FORK = 1;
const VISIBILITY_FORK = 2;

/** The records of every page that some record changes, free space maps aside. */
export function historiesOf(cluster: StockCluster, engine: RedoEngine): PageHistory[] {
  const pages = new Map<string, PageHistory>();
  const { decoder, settings } = engine;
  const historyOf = (tag: RelTag, blockNumber: number): PageHistory => {
    const key = `${tag.spcNode}/${tag.dbNode}/${tag.relNode}/${tag.forkNum}/${blockNumber}`;
    let history = pages.get(key);
    if (history === undefined) {
      const base = cluster.basePage(tag, blockNumber);
      const isGiven = base !== undefined && (!isNewPage(base) || tag.forkNum === VISIBILITY_FORK);
      history = { tag, blockNumber, base: isGiven ? base : undefined, records: [], refers: true };
      if (tag.forkNum === VISIBILITY_FORK && base === undefined)
        history = { ...history, base: new Uint8Array(8192) };
      pages.set(key, history);
    }
    return history;
  };
  for (const { bytes, end } of cluster.records) {
    decoder.decode(bytes);
    const record = { bytes, endLsn: end };
    for (const { tag, blockNumber } of blocksOf(decoder)) historyOf(tag, blockNumber).records.push(record);
    const implied = visibilityClears(decoder, settings).map(({ tag, mapBlock }) => historyOf(tag, mapBlock));
    const cut = relationTruncation(decoder);
    if (cut?.cutsVisibilityMap) implied.push(historyOf({ ...cut.tag, forkNum: VISIBILITY_FORK }, 0));
    for (const history of new Set(implied)) {
      history.refers = false;
      history.records.push(record);
    }
  }
  return [...pages.values()];
}

function* blocksOf(decoder: WalRecordDecoder): Generator<{ tag: RelTag; blockNumber: number }> {
  for (let index = 0; index < decoder.blockCount; index++) {
    const { spcNode, dbNode, relNode, forkNum, blockNumber } = decoder.block(index);
    if (forkNum === FREE_SPACE_FORK) continue;
    yield { tag: { spcNode, dbNode, relNode, forkNum: forkNum as ForkNumber }, blockNumber };
  }
}
