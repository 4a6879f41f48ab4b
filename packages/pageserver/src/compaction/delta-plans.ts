/**
 * Which delta layers are merged. L0 layers, over all keys, become L1 layers, each over a part of them (Neon's `compact_level0_phase1`): the
 * oldest ones that follow each other without a gap, once there are enough. As our L0 layers are small, since they are pushed every half a minute,
 * so are these; many small ones that follow each other are merged again, so that no read has to pass hundreds of them. What
 * comes out has the LSN range of all that went in, so that no two delta layers of the same keys overlap in part.
 */
import { compareKeys, isL0, type LayerDesc, nextKey } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';

export interface MergePlanOptions {
  /** Neon's `compaction_threshold`. */
  readonly countMin: number;
  /** Neon's `compaction_upper_limit`. */
  readonly countMax: number;
  /** Stored bytes of all of them at most, unless the first alone is larger. */
  readonly bytesMax: number;
}

export interface StripePlanOptions extends MergePlanOptions {
  /** What is larger stays as it is. */
  readonly stripeBytesMax: number;
}

/** Delta layers that hold all changes of an LSN range together; in key order, of one key in LSN order. */
export interface Stripe<Layer> {
  readonly layers: readonly Layer[];
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
  readonly sizeBytes: number;
}

export interface MergePlan<Layer> {
  /** Oldest first, without a gap between them. */
  readonly stripes: readonly Stripe<Layer>[];
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
}

interface SizedLayer {
  readonly desc: LayerDesc;
  readonly sizeBytes: number;
}

/** Undefined where there are too few L0 layers. */
export function planL0<Layer extends SizedLayer>(
  layers: Iterable<Layer>,
  options: MergePlanOptions,
): MergePlan<Layer> | undefined {
  const stripes = [...layers].filter(({ desc }) => isL0(desc)).map((layer) => stripeOf([layer]));
  if (stripes.length < options.countMin) return undefined;
  return firstRun(stripes, options);
}

/** Undefined where no L1 layers are worth it. */
export function planL1<Layer extends SizedLayer>(
  layers: Iterable<Layer>,
  options: StripePlanOptions,
): MergePlan<Layer> | undefined {
  const deltas = [...layers].filter(({ desc }) => desc.kind === 'delta');
  let rest = stripesOf(deltas);
  for (;;) {
    rest = rest.slice(
      Math.max(
        0,
        rest.findIndex((stripe) => isSmall(stripe, options)),
      ),
    );
    const end = rest.findIndex((stripe) => !isSmall(stripe, options));
    const small = end === -1 ? rest : rest.slice(0, end);
    if (small.length === 0) return undefined;
    const run = firstRun(small, options);
    if (run !== undefined && run.stripes.length >= options.countMin) return run;
    rest = rest.slice(run?.stripes.length ?? 1);
  }
}

function isSmall<Layer extends SizedLayer>(
  { layers, sizeBytes }: Stripe<Layer>,
  { stripeBytesMax }: StripePlanOptions,
): boolean {
  return sizeBytes <= stripeBytesMax && !layers.some(({ desc }) => isL0(desc)) && isInOrder(layers);
}

/** Read one after the other, the layers give ascending keys, and of one key ascending LSNs. Neon's may lie otherwise. */
function isInOrder(layers: readonly SizedLayer[]): boolean {
  return layers.every(({ desc }, i) => {
    const next = layers[i + 1]?.desc;
    if (next === undefined || compareKeys(desc.keyEnd, next.keyStart) <= 0) return true;
    const isSameKey = compareKeys(nextKey(desc.keyStart), next.keyEnd) === 0;
    return isSameKey && desc.lsnEnd <= next.lsnStart;
  });
}

/** The oldest ones that follow each other, within the limits. */
function firstRun<Layer extends SizedLayer>(
  stripes: readonly Stripe<Layer>[],
  { countMax, bytesMax }: MergePlanOptions,
): MergePlan<Layer> | undefined {
  const [first, ...others] = stripes.toSorted(byLsn);
  if (first === undefined) return undefined;
  const taken = [first];
  let { lsnEnd, sizeBytes } = first;
  for (const stripe of others) {
    sizeBytes += stripe.sizeBytes;
    if (taken.length >= countMax || sizeBytes > bytesMax || stripe.lsnStart !== lsnEnd) break;
    taken.push(stripe);
    lsnEnd = stripe.lsnEnd;
  }
  return { stripes: taken, lsnStart: first.lsnStart, lsnEnd };
}

/** Layers whose LSN ranges overlap are of one stripe. */
function stripesOf<Layer extends SizedLayer>(layers: readonly Layer[]): readonly Stripe<Layer>[] {
  const ordered = layers.toSorted((a, b) => byLsn(a.desc, b.desc));
  const groups: Layer[][] = [];
  let lsnEnd = 0n;
  for (const layer of ordered) {
    const last = groups.at(-1);
    if (last === undefined || layer.desc.lsnStart >= lsnEnd) groups.push([layer]);
    else last.push(layer);
    if (layer.desc.lsnEnd > lsnEnd) lsnEnd = layer.desc.lsnEnd;
  }
  return groups.map(stripeOf);
}

function stripeOf<Layer extends SizedLayer>(layers: readonly Layer[]): Stripe<Layer> {
  const ordered = layers.toSorted(
    (a, b) => compareKeys(a.desc.keyStart, b.desc.keyStart) || byLsn(a.desc, b.desc),
  );
  const descs = ordered.map(({ desc }) => desc);
  const least = (a: Lsn, b: Lsn) => (a < b ? a : b);
  const greatest = (a: Lsn, b: Lsn) => (a > b ? a : b);
  return {
    layers: ordered,
    lsnStart: descs.map((desc) => desc.lsnStart).reduce(least),
    lsnEnd: descs.map((desc) => desc.lsnEnd).reduce(greatest),
    sizeBytes: ordered.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

function byLsn(a: { readonly lsnStart: Lsn }, b: { readonly lsnStart: Lsn }): number {
  if (a.lsnStart === b.lsnStart) return 0;
  return a.lsnStart < b.lsnStart ? -1 : 1;
}
