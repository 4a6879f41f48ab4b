import type { StoredLayer } from '@neon-snapshot/neon-layer';
import { type CompactDeltasOptions, compactDeltas } from '../compaction/compact-deltas.ts';
import { type MergePlanOptions, planL0, planL1, type StripePlanOptions } from '../compaction/delta-plans.ts';
import { StagedLayers } from '../compaction/staged-layers.ts';
import type { CompactionTarget } from '../compaction/target.ts';

/** Merges the L0 layers of a timeline once; undefined where there are too few. */
export async function mergeL0(
  target: CompactionTarget,
  options: MergePlanOptions & CompactDeltasOptions,
  staged: StagedLayers = new StagedLayers(target),
): Promise<readonly StoredLayer[] | undefined> {
  const plan = planL0(target.source.layers.layers, options);
  return plan === undefined ? undefined : await compactDeltas(target, staged, { ...options, plan });
}

/** Merges small L1 layers of a timeline once; undefined where there are too few. */
export async function mergeL1(
  target: CompactionTarget,
  options: StripePlanOptions & CompactDeltasOptions,
): Promise<readonly StoredLayer[] | undefined> {
  const plan = planL1(target.source.layers.layers, options);
  const staged = new StagedLayers(target);
  return plan === undefined ? undefined : await compactDeltas(target, staged, { ...options, plan });
}
