/**
 * Which layers nobody can read any more (Neon's `gc_timeline`): those with nothing above the cutoff whose whole key range newer images cover, at or below
 * the cutoff. Where Neon keeps every layer that begins at or below the newest branch point, we ask the same question for
 * each LSN that is retained, so that a snapshot pinned for years keeps what it is read from and not all that came before.
 */
import { keyRangeOf, type LayerDesc } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import { ImageCoverage } from '../compaction/image-coverage.ts';

export interface GcBounds {
  /** This LSN and all later ones are readable. */
  readonly cutoff: Lsn;
  /** LSNs below it that are, too. */
  readonly retained: readonly Lsn[];
}

export function planGarbage<Layer extends { readonly desc: LayerDesc }>(
  layers: readonly Layer[],
  { cutoff, retained }: GcBounds,
): readonly Layer[] {
  const descs = layers.map(({ desc }) => desc);
  const atCutoff = new ImageCoverage(descs, cutoff);
  let garbage = layers.filter(
    ({ desc }) => desc.lsnEnd <= cutoff + 1n && atCutoff.covers(keyRangeOf(desc), replacedFrom(desc)),
  );
  for (const lsn of new Set(retained)) {
    if (lsn >= cutoff || garbage.length === 0) continue;
    const coverage = new ImageCoverage(descs, lsn);
    garbage = garbage.filter(
      ({ desc }) => desc.lsnStart > lsn || coverage.covers(keyRangeOf(desc), replacedFrom(desc)),
    );
  }
  return garbage;
}

/**
 * An image at this LSN or later has all that the layer has: reads that find it never come to the layer. Neon asks for
 * one LSN more of images over deltas, where it makes them; we make them at the last LSN of a delta.
 */
function replacedFrom({ kind, lsnEnd }: LayerDesc): bigint {
  return kind === 'image' ? lsnEnd : lsnEnd - 1n;
}
