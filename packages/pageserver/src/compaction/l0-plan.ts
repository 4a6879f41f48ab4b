/**
 * Which L0 layers become L1 layers (Neon's `compact_level0_phase1`): the oldest ones that follow each other without a gap, once there are
 * enough. What comes out has their LSN range as a whole, so that no two delta layers overlap in part.
 */
import { isL0, type LayerDesc } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';

export interface L0PlanOptions {
  /** Neon's `compaction_threshold`. */
  readonly l0CountMin: number;
  /** Neon's `compaction_upper_limit`. */
  readonly l0CountMax: number;
  /** Stored bytes of all of them at most, unless the first alone is larger. */
  readonly l0BytesMax: number;
}

export interface L0Plan<Layer> {
  /** Oldest first. */
  readonly layers: readonly Layer[];
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
}

/** Undefined where there is nothing to do yet. */
export function planL0<Layer extends { readonly desc: LayerDesc; readonly sizeBytes: number }>(
  layers: Iterable<Layer>,
  options: L0PlanOptions,
): L0Plan<Layer> | undefined {
  const found = [...layers].filter(({ desc }) => isL0(desc));
  if (found.length < options.l0CountMin) return undefined;
  found.sort((a, b) => (a.desc.lsnStart < b.desc.lsnStart ? -1 : 1));
  const [first] = found;
  if (first === undefined) return undefined;
  const taken = [first];
  let { sizeBytes } = first;
  let { lsnEnd } = first.desc;
  for (const layer of found.slice(1)) {
    sizeBytes += layer.sizeBytes;
    const isFull = taken.length >= options.l0CountMax || sizeBytes > options.l0BytesMax;
    if (isFull || layer.desc.lsnStart !== lsnEnd) break;
    taken.push(layer);
    lsnEnd = layer.desc.lsnEnd;
  }
  return { layers: taken, lsnStart: first.desc.lsnStart, lsnEnd };
}
