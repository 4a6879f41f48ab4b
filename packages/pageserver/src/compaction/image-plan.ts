/**
 * Where image layers are due (Neon's `time_for_new_image_layer`): at the LSN up to which everything is in L1 layers, over the parts of the key space
 * where reads have to pass so many delta layers. As our L1 layers may be small, and one change in them is no reason to write all pages anew, the
 * changes have to be some part of the pages, too, unless there are very many layers.
 */
import {
  compareKeys,
  intersectRanges,
  isL0,
  KEY_MAX,
  KEY_MIN,
  type KeyRange,
  keyRangeOf,
  type LayerDesc,
} from '@neon-snapshot/neon-layer';
import { BLCKSZ, type Lsn, lsn } from '@neon-snapshot/postgres';
import { ImageCoverage } from './image-coverage.ts';
import type { KeyPartition } from './partition.ts';

/**
 * The last LSN of the newest L1 layer, which is the start of a record as every end of a layer is; undefined where there is no L1 layer. Neon's page
 * server takes the LSN behind it, with which a later attach may find images from the future.
 */
export function imageLsn(layers: readonly { readonly desc: LayerDesc }[]): Lsn | undefined {
  let end = 0n;
  for (const { desc } of layers)
    if (desc.kind === 'delta' && !isL0(desc) && desc.lsnEnd > end) end = desc.lsnEnd;
  return end === 0n ? undefined : lsn(end - 1n);
}

/** Key ranges, ascending, where at least `deltasMin` L1 layers lie on the newest image at or below the LSN. */
export function deepRanges(
  layers: readonly { readonly desc: LayerDesc }[],
  { at, deltasMin }: { readonly at: Lsn; readonly deltasMin: number },
): readonly KeyRange[] {
  const relevant = layers.map(({ desc }) => desc).filter((desc) => !isL0(desc) && desc.lsnStart <= at);
  const starts = relevant.toSorted((a, b) => compareKeys(a.keyStart, b.keyStart));
  const boundaries = [KEY_MIN, ...relevant.flatMap(({ keyStart, keyEnd }) => [keyStart, keyEnd])].sort(
    compareKeys,
  );
  const deep: { readonly start: Uint8Array; end: Uint8Array }[] = [];
  let active: LayerDesc[] = [];
  let next = 0;
  for (const [i, start] of boundaries.entries()) {
    const end = boundaries[i + 1] ?? KEY_MAX;
    if (compareKeys(start, end) >= 0) continue;
    active = active.filter(({ keyEnd }) => compareKeys(keyEnd, start) > 0);
    for (let desc = starts[next]; desc !== undefined && compareKeys(desc.keyStart, start) <= 0; ) {
      if (compareKeys(desc.keyEnd, start) > 0) active.push(desc);
      next += 1;
      desc = starts[next];
    }
    if (depthOf(active) < deltasMin) continue;
    const last = deep.at(-1);
    if (last !== undefined && compareKeys(last.end, start) === 0) last.end = end;
    else deep.push({ start, end });
  }
  return deep;
}

/** Delta layers with anything above the newest image. */
function depthOf(layers: readonly LayerDesc[]): number {
  let imageEnd = 0n;
  for (const { kind, lsnEnd } of layers) if (kind === 'image' && lsnEnd > imageEnd) imageEnd = lsnEnd;
  return layers.filter(({ kind, lsnEnd }) => kind === 'delta' && lsnEnd > imageEnd).length;
}

export interface DueOptions {
  readonly at: Lsn;
  /** Neon's `image_creation_threshold`. */
  readonly deltasMin: number;
  /** So many are a reason by themselves. */
  readonly deltasMax: number;
  /** Changes, as a part of the bytes of all pages, that are a reason where `deltasMin` layers are. */
  readonly changedRatio: number;
}

/** The parts of the key space that get image layers. What a layer holds of each part is taken to be the same for all that it touches. */
export function duePartitions(
  partitions: readonly KeyPartition[],
  layers: readonly { readonly desc: LayerDesc; readonly sizeBytes: number }[],
  options: DueOptions,
): readonly KeyPartition[] {
  const { at, deltasMin, deltasMax, changedRatio } = options;
  const deep = deepRanges(layers, { at, deltasMin });
  const deepest = deepRanges(layers, { at, deltasMin: deltasMax });
  const changed = changedBytes(partitions, layers, at);
  return partitions.filter(({ range, keys }, i) => {
    if (!overlapsAny(range, deep)) return false;
    const pageBytes = keys.reduce((sum, { count }) => sum + count * BLCKSZ, 0);
    return (changed[i] ?? 0) >= changedRatio * pageBytes || overlapsAny(range, deepest);
  });
}

function changedBytes(
  partitions: readonly KeyPartition[],
  layers: readonly { readonly desc: LayerDesc; readonly sizeBytes: number }[],
  at: Lsn,
): readonly number[] {
  const coverage = new ImageCoverage(
    layers.map(({ desc }) => desc),
    at,
  );
  const changed = partitions.map(() => 0);
  for (const { desc, sizeBytes } of layers) {
    if (desc.kind !== 'delta' || isL0(desc) || desc.lsnStart > at) continue;
    const touched = partitions.flatMap(({ range }, i) => {
      const part = intersectRanges(range, keyRangeOf(desc));
      return part === undefined ? [] : [{ i, part }];
    });
    for (const { i, part } of touched) {
      if (!coverage.covers(part, desc.lsnEnd - 1n))
        changed[i] = (changed[i] ?? 0) + sizeBytes / touched.length;
    }
  }
  return changed;
}

function overlapsAny(range: KeyRange, ranges: readonly KeyRange[]): boolean {
  return ranges.some((other) => intersectRanges(range, other) !== undefined);
}
