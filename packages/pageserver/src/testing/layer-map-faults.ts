import {
  compareKeys,
  formatLayerName,
  intersectRanges,
  keyRangeOf,
  type LayerDesc,
  nextKey,
} from '@neon-snapshot/neon-layer';

/** What Neon's own check of a layer map (`tenant/checks.rs`) finds: deltas of the same keys whose LSN ranges overlap in part, and layers twice. */
export function layerMapFaults(layers: readonly LayerDesc[]): readonly string[] {
  const faults: string[] = [];
  const deltas = layers.filter(({ kind }) => kind === 'delta');
  for (const [i, a] of deltas.entries()) {
    for (const b of deltas.slice(i + 1)) {
      if (intersectRanges(keyRangeOf(a), keyRangeOf(b)) === undefined) continue;
      if (a.lsnEnd <= b.lsnStart || b.lsnEnd <= a.lsnStart) continue;
      if (a.lsnStart === b.lsnStart && a.lsnEnd === b.lsnEnd) continue;
      if (isSingleKey(a) || isSingleKey(b)) continue;
      faults.push(`${formatLayerName(a)} overlaps ${formatLayerName(b)}`);
    }
  }
  const names = layers.map(formatLayerName);
  return [...faults, ...names.filter((name, i) => names.indexOf(name) !== i)];
}

function isSingleKey({ keyStart, keyEnd }: LayerDesc): boolean {
  return compareKeys(nextKey(keyStart), keyEnd) === 0;
}
