/**
 * Where image layers are due (Neon's `time_for_new_image_layer`): at the LSN up to which everything is in L1 layers, over the parts of the key space
 * where reads have to pass so many delta layers.
 */
import {
  compareKeys,
  isL0,
  KEY_MAX,
  KEY_MIN,
  type KeyRange,
  keyRangeOf,
  type LayerDesc,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';

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

export function overlapsAny(range: KeyRange, ranges: readonly KeyRange[]): boolean {
  return ranges.some(
    ({ start, end }) => compareKeys(start, range.end) < 0 && compareKeys(range.start, end) < 0,
  );
}

/** True where layers of a kind cover every key of the range; `descs` all lie at LSNs that count. */
export function coversRange(descs: readonly LayerDesc[], range: KeyRange): boolean {
  let at = range.start;
  for (const desc of descs.toSorted((a, b) => compareKeys(a.keyStart, b.keyStart))) {
    const { start, end } = keyRangeOf(desc);
    if (compareKeys(start, at) > 0) break;
    if (compareKeys(end, at) > 0) at = end;
  }
  return compareKeys(at, range.end) >= 0;
}
