import { type DeltaStep, type KeyChanges, mergeChanges } from './key-changes.ts';
import { type KeyFilter, type KeyUnit, KeyUnitBuilder } from './key-unit.ts';
import type { EntrySlice, LayerFile } from './layer-file.ts';
import type { OpenLayers } from './open-layers.ts';
import type { ReadSegment } from './read-steps.ts';

/** Segments ahead whose layers are opened already. */
const SEGMENTS_AHEAD = 4;

export interface PlanUnitsOptions {
  readonly layers: OpenLayers;
  readonly filter: KeyFilter;
  /** The next key that the filter can pass, where it is known. */
  readonly seek?: (() => Uint8Array | undefined) | undefined;
  /** Keys of one unit at most. */
  readonly keysMax?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Turns segments into units, in key order, by reading indexes only. */
export async function* planUnits(
  segments: Iterable<ReadSegment>,
  options: PlanUnitsOptions,
): AsyncGenerator<KeyUnit> {
  const builder = new KeyUnitBuilder(options.filter, options.keysMax);
  for await (const segment of openAhead(segments, options.layers)) {
    const opened = await Promise.all(
      segment.steps.map(async (step) => ({ step, file: await options.layers.open(step.layer) })),
    );
    const image = opened.find(({ step }) => step.layer.desc.kind === 'image')?.file;
    const deltas = opened.filter(({ step }) => step.layer.desc.kind === 'delta');
    yield* planSegment(builder, { segment, image, deltas, options });
  }
  const rest = builder.take();
  if (rest !== undefined) yield rest;
}

interface OpenedSegment {
  readonly segment: ReadSegment;
  readonly image: LayerFile | undefined;
  readonly deltas: readonly DeltaStep[];
  readonly options: PlanUnitsOptions;
}

/** Merges the changes of delta layers into the keys of the image layer below them. */
async function* planSegment(builder: KeyUnitBuilder, opened: OpenedSegment): AsyncGenerator<KeyUnit> {
  const { segment, image, deltas, options } = opened;
  const changed = mergeChanges(deltas, segment.range, options);
  let next = await nextOf(changed);
  if (image !== undefined) {
    for await (const slice of image.slices(segment.range, { signal: options.signal, seek: options.seek })) {
      let at = slice.from;
      while (at < slice.to) {
        const stop = next === undefined ? slice.to : Math.min(slice.leaf.lowerBound(next.key, at), slice.to);
        yield* addImages(builder, image, { slice, from: at, to: stop });
        at = stop;
        if (next === undefined || at === slice.to) break;
        const isSameKey = at < slice.to && slice.leaf.compareAt(at, next.key) === 0;
        builder.addChanged(next.key, next.changes, isSameKey ? { file: image, slice, index: at } : undefined);
        if (isSameKey) at += 1;
        yield* takeFull(builder);
        next = await nextOf(changed);
      }
    }
  }
  for (; next !== undefined; next = await nextOf(changed)) {
    builder.addChanged(next.key, next.changes);
    yield* takeFull(builder);
  }
}

function* addImages(
  builder: KeyUnitBuilder,
  file: LayerFile,
  { slice, from, to }: { readonly slice: EntrySlice; readonly from: number; readonly to: number },
): Generator<KeyUnit> {
  for (let at = from; at < to; ) {
    at = builder.addImages(file, slice, { from: at, to });
    yield* takeFull(builder);
  }
}

function* takeFull(builder: KeyUnitBuilder): Generator<KeyUnit> {
  const unit = builder.isFull ? builder.take() : undefined;
  if (unit !== undefined) yield unit;
}

async function nextOf(changes: AsyncGenerator<KeyChanges>): Promise<KeyChanges | undefined> {
  const { value, done } = await changes.next();
  return done === true ? undefined : value;
}

/** Passes segments on while the layers of the next ones are being opened. */
async function* openAhead(segments: Iterable<ReadSegment>, layers: OpenLayers): AsyncGenerator<ReadSegment> {
  const ahead: { readonly segment: ReadSegment; readonly opened: Promise<unknown> }[] = [];
  try {
    for (const segment of segments) {
      ahead.push({ segment, opened: Promise.all(segment.steps.map(({ layer }) => layers.warm(layer))) });
      if (ahead.length > SEGMENTS_AHEAD) yield* shift(ahead);
    }
    while (ahead.length > 0) yield* shift(ahead);
  } finally {
    await Promise.all(ahead.map(({ opened }) => opened));
  }
}

function* shift(ahead: { readonly segment: ReadSegment }[]): Generator<ReadSegment> {
  const first = ahead.shift();
  if (first !== undefined) yield first.segment;
}
