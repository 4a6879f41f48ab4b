import type { RelTag } from '@neon-snapshot/postgres';
import type { MainDataReader } from '../main-data-reader.ts';

/** `XACT_XINFO_HAS_*` of xact.h. */
const HAS = {
  database: 0x01,
  subtransactions: 0x02,
  relations: 0x04,
  invalidations: 0x08,
  twoPhase: 0x10,
  origin: 0x20,
  gid: 0x80,
  /** 15 and later. */
  droppedStats: 0x100,
} as const;
const DROPPED_STATS_SIZE = 12;
const INVALIDATION_SIZE = 16;

/** What a commit or abort record says, as far as ingest needs it. */
export interface TransactionEnd {
  /** µs since 2000-01-01 UTC. */
  readonly time: bigint;
  readonly subtransactions: readonly number[];
  /** Relations whose files go. */
  readonly relations: readonly Omit<RelTag, 'forkNum'>[];
  /** Of a prepared transaction: its id. */
  readonly twoPhaseXid: number | undefined;
  /** 0 where the record has none. */
  readonly originLsn: bigint;
}

/** xl_xact_commit and xl_xact_abort: the time, and the parts that `xinfo` announces, in this order. */
export function readTransactionEnd(main: MainDataReader, hasInfo: boolean): TransactionEnd {
  const time = main.i64();
  const info = hasInfo ? main.u32() : 0;
  const has = (bit: number): boolean => (info & bit) !== 0;
  if (has(HAS.database)) main.skip(8);
  const subtransactions = has(HAS.subtransactions) ? readList(main, 4, () => main.u32()) : [];
  const relations = has(HAS.relations)
    ? readList(main, 12, () => ({ spcNode: main.u32(), dbNode: main.u32(), relNode: main.u32() }))
    : [];
  if (has(HAS.droppedStats)) main.skip(main.count(DROPPED_STATS_SIZE) * DROPPED_STATS_SIZE);
  if (has(HAS.invalidations)) main.skip(main.count(INVALIDATION_SIZE) * INVALIDATION_SIZE);
  const twoPhaseXid = has(HAS.twoPhase) ? main.u32() : undefined;
  if (has(HAS.twoPhase) && has(HAS.gid)) main.skipString();
  const originLsn = has(HAS.origin) ? main.u64() : 0n;
  return { time, subtransactions, relations, twoPhaseXid, originLsn };
}

function readList<T>(main: MainDataReader, itemSize: number, read: () => T): readonly T[] {
  return Array.from({ length: main.count(itemSize) }, read);
}
