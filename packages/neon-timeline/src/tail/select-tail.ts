import type { Lsn } from '@neon-snapshot/postgres';
import type { TailChunk } from './tail-chunk.ts';

/** Where a timeline's layers end, as its newest index says. */
export interface LayersEnd {
  readonly diskConsistentLsn: Lsn;
  readonly prevRecordLsn?: Lsn | undefined;
  /** Of the index; undefined: from before generations. */
  readonly generation: number | undefined;
}

export interface SelectedTail {
  readonly generation: number;
  /** In order; each begins at or before the end of the one before it, and reaches beyond that. */
  readonly chunks: readonly [TailChunk, ...TailChunk[]];
  readonly start: Lsn;
  readonly end: Lsn;
  /** Something of the same generation lies behind a gap, and does not count. */
  readonly hasGap: boolean;
}

/**
 * The chunks that go on from the layers. Only those of the highest generation count, and only if it is not below the index's: a new
 * owner first puts what it found under its own, so that whatever a fenced writer still puts is never looked at. They have to reach the
 * layers' end without a gap; chunks before it are taken as far back as the start of the last record, which they prove.
 */
export function selectTail(chunks: readonly TailChunk[], layers: LayersEnd): SelectedTail | undefined {
  const generation = chunks.reduce((highest, chunk) => Math.max(highest, chunk.generation), 0);
  if (chunks.length === 0 || generation < (layers.generation ?? 0)) return undefined;
  const runs = chainsOf(chunks.filter((chunk) => chunk.generation === generation));
  const { diskConsistentLsn } = layers;
  const run = runs.find(({ start, end }) => start <= diskConsistentLsn && diskConsistentLsn <= end);
  if (run === undefined) return undefined;
  const from = layers.prevRecordLsn ?? diskConsistentLsn;
  const [first, ...others] = run.chunks.slice(
    Math.max(
      run.chunks.findLastIndex(({ start }) => start <= from),
      0,
    ),
  );
  if (first === undefined) return undefined;
  return {
    generation,
    chunks: [first, ...others],
    start: first.start,
    end: run.end,
    hasGap: run !== runs.at(-1),
  };
}

interface Chain {
  readonly chunks: TailChunk[];
  readonly start: Lsn;
  end: Lsn;
}

/** Runs without a gap, in order; chunks that add nothing are left out. */
function chainsOf(chunks: readonly TailChunk[]): readonly Chain[] {
  const chains: Chain[] = [];
  for (const chunk of chunks.toSorted((a, b) => compare(a.start, b.start) || compare(b.end, a.end))) {
    const last = chains.at(-1);
    if (last === undefined || chunk.start > last.end) {
      chains.push({ chunks: [chunk], start: chunk.start, end: chunk.end });
    } else if (chunk.end > last.end) {
      last.chunks.push(chunk);
      last.end = chunk.end;
    }
  }
  return chains;
}

function compare(a: Lsn, b: Lsn): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
