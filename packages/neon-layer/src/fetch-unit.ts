import type { Lsn } from '@neon-snapshot/postgres';
import { describeKey } from './describe-key.ts';
import { KEY_SIZE, keyToHex } from './key.ts';
import type { Change } from './key-changes.ts';
import { parseKey } from './key-kind.ts';
import { type KeyUnit, NO_IMAGE } from './key-unit.ts';
import { isNeonLayerError, NeonLayerError } from './layer-error.ts';
import type { LayerFile } from './layer-file.ts';
import type { PageDecompressor } from './page-decompressor.ts';
import { READ_BYTES_MAX, READ_GAP_BYTES_MAX } from './read-plan.ts';
import { needsRedo, type RedoFunction, type RedoRecord } from './redo.ts';
import { decodeValue } from './value.ts';
import { valueSizeMax } from './value-limit.ts';

/** Bytes of one layer that were fetched at once. */
interface FetchedSpan {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A unit with the bytes of its images, and with the values of the keys that delta layers changed. */
export interface FetchedUnit {
  readonly unit: KeyUnit;
  readonly spans: readonly FetchedSpan[];
  /** Index into `spans`, for each key with an image. */
  readonly spanIndexes: Uint16Array;
  /** By position. */
  readonly values: ReadonlyMap<number, Uint8Array>;
}

export interface FetchOptions {
  readonly lsn: Lsn;
  readonly redo: RedoFunction | undefined;
  readonly decompressor: PageDecompressor;
  readonly signal: AbortSignal | undefined;
}

interface PlannedSpan {
  readonly file: LayerFile;
  readonly offset: number;
  end: number;
}

/** Fetches what a unit needs. Images come by as few requests as gaps and limits allow, all at the same time. */
export async function fetchUnit(unit: KeyUnit, options: FetchOptions): Promise<FetchedUnit> {
  const spanIndexes = new Uint16Array(unit.count);
  const planned = planSpans(unit, spanIndexes, options.redo !== undefined);
  const [spans, newest] = await Promise.all([
    Promise.all(planned.map((span) => readSpan(span, options.signal))),
    readNewest(unit, options),
  ]);
  const fetched = { unit, spans, spanIndexes, values: newest };
  if (options.redo === undefined) return fetched;
  const values = new Map(newest);
  for (const [index, changes] of unit.changes) {
    if (!values.has(index)) values.set(index, await redoKey(fetched, { index, changes, options }));
  }
  return { ...fetched, values };
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

function planSpans(unit: KeyUnit, spanIndexes: Uint16Array, withBases: boolean): readonly PlannedSpan[] {
  const spans: PlannedSpan[] = [];
  for (let i = 0; i < unit.count; i += 1) {
    const offset = unit.offsets[i] ?? NO_IMAGE;
    if (offset === NO_IMAGE || (!withBases && unit.changes.has(i))) continue;
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

/** Values of the keys whose newest change is an image. The others need redo: an error where there is none. */
async function readNewest(unit: KeyUnit, options: FetchOptions): Promise<ReadonlyMap<number, Uint8Array>> {
  const newest = [...unit.changes].flatMap(([index, [change]]) =>
    change === undefined ? [] : [{ index, change }],
  );
  const byFile = Map.groupBy(newest, ({ change }) => change.file);
  const values = new Map<number, Uint8Array>();
  for (const [file, group] of byFile) {
    const indexOf = new Map(group.map(({ index, change }) => [change.entry, index]));
    const inOrder = group.map(({ change }) => change.entry).sort((a, b) => a.offset - b.offset);
    for await (const { entry, blob } of file.readBlobs(inOrder, options)) {
      const value = decodeValue(options.decompressor.decodeBlob(blob));
      if (value.kind === 'image') values.set(indexOf.get(entry) ?? 0, value.image);
      else if (options.redo === undefined)
        throw needsRedo(entry.key, { lsn: entry.lsn, layer: file.objectKey });
    }
  }
  return values;
}

async function redoKey(
  fetched: FetchedUnit,
  work: { readonly index: number; readonly changes: readonly Change[]; readonly options: FetchOptions },
): Promise<Uint8Array> {
  const { index, changes, options } = work;
  const { unit } = fetched;
  const key = unit.keys.slice(index * KEY_SIZE, (index + 1) * KEY_SIZE);
  const hasImage = unit.offsets[index] !== NO_IMAGE;
  const image = hasImage
    ? options.decompressor.decodeBlob(blobAt(fetched, index), { sizeMaxBytes: valueSizeMax(key) })
    : undefined;
  return redoChanges({ key, changes, image, options });
}

/** The state of a key from its changes (newest first) and the image below them. */
async function redoChanges(work: {
  readonly key: Uint8Array;
  readonly changes: readonly Change[];
  readonly image: Uint8Array | undefined;
  readonly options: FetchOptions;
}): Promise<Uint8Array> {
  const { key, changes, options } = work;
  const records: RedoRecord[] = [];
  let base = changes.at(-1)?.entry.willInit === true ? undefined : work.image;
  for (const { file, entry } of changes.toReversed()) {
    for await (const { blob } of file.readBlobs([entry], options)) {
      const value = decodeValue(options.decompressor.decodeBlob(blob));
      if (value.kind === 'record') records.push({ lsn: entry.lsn, record: value.record });
      else [base, records.length] = [value.image, 0];
    }
  }
  if (records.length === 0) return base ?? new Uint8Array(0);
  const newest = changes[0];
  if (options.redo === undefined) {
    throw needsRedo(key, { lsn: newest?.entry.lsn ?? options.lsn, layer: newest?.file.objectKey ?? '' });
  }
  const request = { key, parsedKey: parseKey(key), lsn: options.lsn, base, records };
  return options.redo(request, { signal: options.signal });
}
