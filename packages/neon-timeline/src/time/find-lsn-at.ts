import { firstReadableLsn, type TimelineSource, TimelineView } from '@neon-snapshot/neon-layer';
import { BLCKSZ, type Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { createValueRedo } from '../redo/value-redo.ts';
import { CLOG_PAGES, type Commit, CommitSlab, type SlabLayers, slabsOf } from './commit-slab.ts';

/** Times are taken before the record is written, so that they are not quite in order: so many chunks before are looked at. */
const CHUNKS_LOOKED_BACK = 4;

export interface FindLsnOptions {
  /** Of the first shard, which has the transaction status. */
  readonly source: TimelineSource;
  /** Where the search begins, if that is after the first LSN that can be read. */
  readonly lsnMin?: Lsn | undefined;
  /** The end of the timeline. Default: `disk_consistent_lsn`. */
  readonly end?: Lsn | undefined;
  /** µs since 2000-01-01 UTC. */
  readonly time: bigint;
  readonly signal?: AbortSignal | undefined;
}

/** Where a time lies in a timeline. */
export type LsnAtTime =
  /** The last commit before the first one after the time, or the first LSN where that commit was collected as garbage. */
  | { readonly kind: 'present'; readonly lsn: Lsn }
  /** There is no commit after the time: the end of the timeline. */
  | { readonly kind: 'future'; readonly lsn: Lsn }
  /** The time is before the first commit that is recorded, or none is. */
  | { readonly kind: 'past'; readonly earliest: bigint | undefined };

/**
 * The LSN of the last commit before the first one after a time, as Postgres' own `recovery_target_time` has it; the end of the
 * timeline, where there is no later commit. Found by bisection over the commits that delta layers hold.
 */
export async function findLsnAt(storage: Storage, options: FindLsnOptions): Promise<LsnAtTime> {
  const { source, lsnMin, end = source.index.metadata.diskConsistentLsn } = options;
  let start = firstReadableLsn(source);
  if (lsnMin !== undefined && lsnMin > start) start = lsnMin;
  const search = new CommitSearch(storage, slabsOf(source, { after: start, end }), options);
  const late = await search.firstLate();
  const before = late === undefined ? undefined : await search.lastBefore(late);
  if (before !== undefined) return { kind: 'present', lsn: before.lsn };
  const stamp = await newestStamp(storage, start, options);
  const isAfterStart = stamp !== undefined && options.time >= stamp;
  if (late !== undefined && isAfterStart) return { kind: 'present', lsn: start };
  if (late === undefined && (isAfterStart || (await search.hasCommits())))
    return { kind: 'future', lsn: end };
  return { kind: 'past', earliest: stamp ?? late?.commit.time };
}

/** A commit and where it was found. */
interface FoundCommit {
  readonly commit: Commit;
  readonly slab: number;
  readonly chunk: number;
}

class CommitSearch {
  readonly #storage: Storage;
  readonly #slabs: readonly SlabLayers[];
  readonly #options: FindLsnOptions;
  /** The one that was opened last: its index may be large. */
  #open: { readonly index: number; readonly slab: CommitSlab } | undefined;

  constructor(storage: Storage, slabs: readonly SlabLayers[], options: FindLsnOptions) {
    this.#storage = storage;
    this.#slabs = slabs;
    this.#options = options;
  }

  /** The first commit after the time. */
  async firstLate(): Promise<FoundCommit | undefined> {
    const slab = await firstTrue(this.#slabs.length, async (index) => this.#endsLate(index));
    if (slab === undefined) return undefined;
    const { chunkCount } = await this.#slabAt(slab);
    const found = await firstTrue(chunkCount, async (chunk) => this.#isLateBy(slab, chunk));
    let first: FoundCommit | undefined;
    const last = found ?? chunkCount - 1;
    for (
      let chunk = Math.max(0, last - CHUNKS_LOOKED_BACK);
      chunk <= last && first === undefined;
      chunk += 1
    ) {
      const commits = await this.#commits(slab, chunk);
      const commit = commits.find(({ time }) => time > this.#options.time);
      if (commit !== undefined) first = { commit, slab, chunk };
    }
    return first;
  }

  /** The last commit before another one. */
  async lastBefore({ commit, slab, chunk }: FoundCommit): Promise<Commit | undefined> {
    const before = (await this.#commits(slab, chunk)).findLast(({ lsn }) => lsn < commit.lsn);
    return before ?? this.#lastUpTo(slab, chunk - 1);
  }

  async hasCommits(): Promise<boolean> {
    return (await this.#lastUpTo(this.#slabs.length - 1)) !== undefined;
  }

  /** Whether the last commit of the slab, or of one before it where it has none, is after the time. */
  async #endsLate(slab: number): Promise<boolean> {
    for (let at = slab; at >= 0; at -= 1) {
      const { chunkCount } = await this.#slabAt(at);
      for (let chunk = chunkCount - 1; chunk >= 0; chunk -= 1) {
        const commits = await this.#commits(at, chunk);
        if (commits.length > 0) return commits.some(({ time }) => time > this.#options.time);
      }
    }
    return false;
  }

  async #isLateBy(slab: number, chunk: number): Promise<boolean> {
    for (let at = chunk; at >= 0; at -= 1) {
      const commits = await this.#commits(slab, at);
      if (commits.length > 0) return commits.some(({ time }) => time > this.#options.time);
    }
    return false;
  }

  /** The last commit up to a chunk of a slab, or up to a slab. */
  async #lastUpTo(slab: number, chunk?: number): Promise<Commit | undefined> {
    for (let at = slab; at >= 0; at -= 1) {
      const { chunkCount } = await this.#slabAt(at);
      for (let i = at === slab && chunk !== undefined ? chunk : chunkCount - 1; i >= 0; i -= 1) {
        const last = (await this.#commits(at, i)).at(-1);
        if (last !== undefined) return last;
      }
    }
    return undefined;
  }

  async #commits(slab: number, chunk: number): Promise<readonly Commit[]> {
    return (await this.#slabAt(slab)).chunk(chunk);
  }

  async #slabAt(index: number): Promise<CommitSlab> {
    if (this.#open?.index === index) return this.#open.slab;
    const layers = this.#slabs[index];
    if (layers === undefined) throw new Error(`there is no slab ${index}`);
    const { source, signal } = this.#options;
    const { tenantId } = source.tenant;
    const slab = await CommitSlab.open(this.#storage, layers, { tenantId, signal });
    this.#open = { index, slab };
    return slab;
  }
}

/** The first of `count` numbers for which something holds, which then holds for all later ones. */
async function firstTrue(
  count: number,
  holds: (index: number) => Promise<boolean>,
): Promise<number | undefined> {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (await holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low < count ? low : undefined;
}

/** Time of the newest commit that the pages themselves know of at the start: Neon keeps it behind a page. */
async function newestStamp(
  storage: Storage,
  start: Lsn,
  { source, signal }: FindLsnOptions,
): Promise<bigint | undefined> {
  const redo = createValueRedo(source.index.metadata.postgresMajor);
  const view = await TimelineView.open(storage, source, { lsn: start, redo, signal });
  let newest: bigint | undefined;
  for await (const group of view.scan(CLOG_PAGES, { signal })) {
    for (const { value } of group) {
      if (value.length !== BLCKSZ + 8) continue;
      const time = new DataView(value.buffer, value.byteOffset, value.length).getBigInt64(BLCKSZ);
      if (newest === undefined || time > newest) newest = time;
    }
  }
  view.close();
  return newest;
}
