import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { AUX_FILES_V1_KEY, compareKeys, isInheritedKey, keyFromFields, nextKey } from './key.ts';
import { type KeyRange, rangeContains } from './key-range.ts';
import type { StoredLayer, TimelineSource } from './timeline-source.ts';

/** One layer on the way down to the state of a key; of a delta only entries with `lsnFloor <= LSN < lsnEnd` count. */
export interface ReadStep {
  readonly layer: StoredLayer;
  readonly lsnFloor: Lsn;
  readonly lsnEnd: Lsn;
}

/** Keys for which the same steps lead to their state. */
export interface ReadSegment {
  readonly range: KeyRange;
  /** Newest first; an image layer is the last one, since nothing below it counts. Never empty. */
  readonly steps: readonly ReadStep[];
}

/** Where keys that a branch does not take over from its ancestor begin and end. */
const INHERITANCE_BOUNDARIES: readonly Uint8Array[] = [
  AUX_FILES_V1_KEY,
  nextKey(AUX_FILES_V1_KEY),
  keyFromFields([0x62, 0, 0, 0, 0, 0]),
  keyFromFields([0x64, 0, 0, 0, 0, 0]),
];

/** The layers to look at for a key at an LSN, newest first (Neon's `get_vectored_reconstruct_data`). */
export function planSteps(source: TimelineSource, key: Uint8Array, at: Lsn): readonly ReadStep[] {
  const steps: ReadStep[] = [];
  let timeline: TimelineSource = source;
  let lsnEnd = lsn(at + 1n);
  for (;;) {
    for (const { layer, lsnFloor } of timeline.layers.descend(key, lsnEnd)) {
      steps.push({ layer, lsnFloor, lsnEnd });
      if (layer.desc.kind === 'image') return steps;
      lsnEnd = lsnFloor;
    }
    if (timeline.ancestor === undefined || !isInheritedKey(key)) return steps;
    const branchEnd = lsn(timeline.ancestor.lsn + 1n);
    if (branchEnd < lsnEnd) lsnEnd = branchEnd;
    timeline = timeline.ancestor.source;
  }
}

/** Cuts a key range into segments, in key order; keys that no layer can have are left out. */
export function* planSegments(source: TimelineSource, range: KeyRange, at: Lsn): Generator<ReadSegment> {
  const boundaries = boundariesOf(source, range);
  let open: ReadSegment | undefined;
  for (const [i, start] of boundaries.entries()) {
    const end = boundaries[i + 1] ?? range.end;
    const steps = planSteps(source, start, at);
    if (open !== undefined && sameSteps(open.steps, steps)) {
      open = { range: { start: open.range.start, end }, steps };
      continue;
    }
    if (open !== undefined && open.steps.length > 0) yield open;
    open = { range: { start, end }, steps };
  }
  if (open !== undefined && open.steps.length > 0) yield open;
}

/** Keys of the range at which the steps may change, ascending; the start of the range is the first. */
function boundariesOf(source: TimelineSource, range: KeyRange): readonly Uint8Array[] {
  if (compareKeys(range.start, range.end) >= 0) return [];
  const keys: Uint8Array[] = [range.start];
  for (let timeline: TimelineSource | undefined = source; timeline !== undefined; ) {
    for (const key of timeline.layers.boundaries(range)) keys.push(key);
    if (timeline.ancestor !== undefined) keys.push(...INHERITANCE_BOUNDARIES);
    timeline = timeline.ancestor?.source;
  }
  const sorted = keys.filter((key) => rangeContains(range, key)).sort(compareKeys);
  return sorted.filter((key, i) => i === 0 || compareKeys(key, sorted[i - 1] ?? key) !== 0);
}

function sameSteps(a: readonly ReadStep[], b: readonly ReadStep[]): boolean {
  return (
    a.length === b.length &&
    a.every((step, i) => {
      const other = b[i];
      return step.layer === other?.layer && step.lsnFloor === other.lsnFloor && step.lsnEnd === other.lsnEnd;
    })
  );
}
