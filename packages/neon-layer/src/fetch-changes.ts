import type { KeyUnit } from './key-unit.ts';
import type { LayerFile, ReadOptions } from './layer-file.ts';
import { type BlobPlace, planSpans } from './read-plan.ts';

/** Stored blobs of delta layers, key after key, of each key oldest first: its oldest one needs no older state, or is applied to its image. */
export interface FetchedChanges {
  /** Position of the key that each blob belongs to; ascending. */
  readonly positions: Uint32Array<ArrayBuffer>;
  readonly lsns: BigUint64Array<ArrayBuffer>;
  /** Bytes of each blob; a gap behind it may be part of it. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** Back to back. */
  readonly blobs: Uint8Array<ArrayBuffer>;
}

interface Wanted extends BlobPlace {
  readonly file: LayerFile;
  /** Where it goes in `blobs`. */
  readonly target: number;
}

/** Fetches all that delta layers hold for the keys of a unit, by as few requests as gaps and limits allow. */
export async function fetchChanges(unit: KeyUnit, options: ReadOptions): Promise<FetchedChanges | undefined> {
  if (unit.changes.size === 0) return undefined;
  const { wanted, fetched } = layOut(unit);
  const byFile = Map.groupBy(wanted, ({ file }) => file);
  await Promise.all([...byFile].map(([file, group]) => readInto(fetched.blobs, { file, group, options })));
  return fetched;
}

/** The part of `[start, end)` of the unit's keys, with positions from 0; undefined where none of them changed. */
export function sliceChanges(
  changes: FetchedChanges | undefined,
  start: number,
  end: number,
): FetchedChanges | undefined {
  if (changes === undefined) return undefined;
  const from = lowerBound(changes.positions, start);
  const to = lowerBound(changes.positions, end);
  if (from === to) return undefined;
  const lengths = changes.lengths.slice(from, to);
  const offset = sum(changes.lengths.subarray(0, from));
  return {
    positions: changes.positions.slice(from, to).map((position) => position - start),
    lsns: changes.lsns.slice(from, to),
    lengths,
    blobs: changes.blobs.slice(offset, offset + sum(lengths)),
  };
}

function layOut(unit: KeyUnit): { readonly wanted: readonly Wanted[]; readonly fetched: FetchedChanges } {
  const count = [...unit.changes.values()].reduce((total, { length }) => total + length, 0);
  const positions = new Uint32Array(count);
  const lsns = new BigUint64Array(count);
  const lengths = new Uint32Array(count);
  const wanted: Wanted[] = [];
  let target = 0;
  for (const [position, changes] of unit.changes) {
    for (let i = changes.length - 1; i >= 0; i -= 1) {
      const change = changes[i];
      if (change === undefined) continue;
      positions[wanted.length] = position;
      lsns[wanted.length] = change.lsn;
      lengths[wanted.length] = change.length;
      const { file, offset, length } = change;
      wanted.push({ file, offset, length, target });
      target += change.length;
    }
  }
  return { wanted, fetched: { positions, lsns, lengths, blobs: new Uint8Array(target) } };
}

async function readInto(
  blobs: Uint8Array,
  work: { readonly file: LayerFile; readonly group: readonly Wanted[]; readonly options: ReadOptions },
): Promise<void> {
  const inFileOrder = work.group.toSorted((a, b) => a.offset - b.offset);
  for (const span of planSpans(inFileOrder)) {
    const bytes = await work.file.readRange(span, work.options);
    for (const { offset, length, target } of span.entries) {
      blobs.set(bytes.subarray(offset - span.offset, offset - span.offset + length), target);
    }
  }
}

function lowerBound(positions: Uint32Array, position: number): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((positions[middle] ?? 0) < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sum(lengths: Uint32Array): number {
  let total = 0;
  for (const length of lengths) total += length;
  return total;
}
