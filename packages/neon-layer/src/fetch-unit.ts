import { describeKey } from './describe-key.ts';
import { type FetchedChanges, fetchChanges } from './fetch-changes.ts';
import { KEY_SIZE, keyToHex } from './key.ts';
import { type KeyUnit, NO_IMAGE } from './key-unit.ts';
import { SMALL_LAYER_BYTES_MAX } from './layer-bytes.ts';
import { isNeonLayerError, NeonLayerError } from './layer-error.ts';
import type { LayerFile, ReadOptions } from './layer-file.ts';
import { READ_BYTES_MAX, READ_GAP_BYTES_MAX } from './read-plan.ts';

/** Bytes of one layer that were fetched at once. */
interface FetchedSpan {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A unit with the bytes of its images and of the changes that delta layers hold. */
export interface FetchedUnit {
  readonly unit: KeyUnit;
  readonly spans: readonly FetchedSpan[];
  /** Index into `spans`, for each key with an image. */
  readonly spanIndexes: Uint16Array;
  /** Absent where every key is an image. */
  readonly changes: FetchedChanges | undefined;
}

interface PlannedSpan {
  readonly file: LayerFile;
  readonly offset: number;
  end: number;
}

/** Fetches what a unit needs, by as few requests as gaps and limits allow, all at the same time. */
export async function fetchUnit(unit: KeyUnit, options: ReadOptions): Promise<FetchedUnit> {
  const spanIndexes = new Uint16Array(unit.count);
  const planned = planSpans(unit, spanIndexes);
  const [spans, changes] = await Promise.all([
    Promise.all(planned.map((span) => readSpan(span, options.signal))),
    fetchChanges(unit, options),
  ]);
  return { unit, spans, spanIndexes, changes };
}

/** Whether an image of the key was fetched; where not, its changes need none. */
export function hasImage({ unit }: FetchedUnit, index: number): boolean {
  return unit.offsets[index] !== NO_IMAGE;
}

/** The stored blob of a key's image; bytes behind the blob may follow. */
export function blobAt({ unit, spans, spanIndexes }: FetchedUnit, index: number): Uint8Array {
  const span = spans[spanIndexes[index] ?? 0];
  const base = span?.offset ?? 0;
  return (span?.bytes ?? new Uint8Array()).subarray(
    (unit.offsets[index] ?? 0) - base,
    (unit.ends[index] ?? 0) - base,
  );
}

/** Frees the bytes of images, which the garbage collector finds late: each is a megabyte in an object of some bytes. */
export function releaseSpans({ spans }: FetchedUnit): void {
  for (const { bytes } of spans) {
    const { buffer } = bytes;
    // Smaller ones may be a whole layer that is kept while it is open.
    if (buffer.byteLength > SMALL_LAYER_BYTES_MAX && buffer instanceof ArrayBuffer) buffer.transfer(0);
  }
}

/** Adds key and layer to the error that a stored value raises. */
export function nameValue(error: unknown, { unit }: FetchedUnit, index: number): unknown {
  if (!isNeonLayerError(error)) return error;
  const key = unit.keys.slice(index * KEY_SIZE, (index + 1) * KEY_SIZE);
  const layer = unit.files[unit.fileIndexes[index] ?? 0]?.objectKey;
  return new NeonLayerError({
    code: error.code,
    operation: 'read',
    message: `The value of ${describeKey(key)} in layer ${layer} cannot be read. ${error.message}`,
    context: { ...error.context, key: keyToHex(key), layer },
    cause: error,
  });
}

function planSpans(unit: KeyUnit, spanIndexes: Uint16Array): readonly PlannedSpan[] {
  const spans: PlannedSpan[] = [];
  for (let i = 0; i < unit.count; i += 1) {
    const offset = unit.offsets[i] ?? NO_IMAGE;
    if (offset === NO_IMAGE) continue;
    const end = unit.ends[i] ?? offset;
    const file = unit.files[unit.fileIndexes[i] ?? 0];
    const last = spans.at(-1);
    if (last !== undefined && last.file === file && joins(last, { offset, end })) last.end = end;
    else if (file !== undefined) spans.push({ file, offset, end });
    spanIndexes[i] = spans.length - 1;
  }
  return spans;
}

function joins(span: PlannedSpan, next: { readonly offset: number; readonly end: number }): boolean {
  const gap = next.offset - span.end;
  return gap >= 0 && gap <= READ_GAP_BYTES_MAX && next.end - span.offset <= READ_BYTES_MAX;
}

async function readSpan(span: PlannedSpan, signal: AbortSignal | undefined): Promise<FetchedSpan> {
  const { file, offset, end } = span;
  return { offset, bytes: await file.readRange({ offset, length: end - offset }, { signal }) };
}
