import type { Lsn } from '@neon-snapshot/postgres';
import { lsn as toLsn } from '@neon-snapshot/postgres';
import { describeKey } from './describe-key.ts';
import { blobAt, type FetchedUnit, hasImage, nameValue } from './fetch-unit.ts';
import { KEY_SIZE, keyToHex } from './key.ts';
import { isRelationBlockKey, parseKey } from './key-kind.ts';
import { NeonLayerError } from './layer-error.ts';
import { BLOCK_SIZE } from './layer-format.ts';
import type { PageDecompressor } from './page-decompressor.ts';
import { needsRedo, type RedoFunction, type RedoRecord } from './redo.ts';
import { decodeValue } from './value.ts';
import { valueSizeMax } from './value-limit.ts';

export interface ResolveOptions {
  readonly lsn: Lsn;
  readonly redo: RedoFunction | undefined;
  readonly decompressor: PageDecompressor;
  readonly signal?: AbortSignal | undefined;
}

/** The values of the keys that delta layers changed, by position in the unit. */
export async function resolveChanges(
  fetched: FetchedUnit,
  options: ResolveOptions,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const values = new Map<number, Uint8Array>();
  if (fetched.changes === undefined) return values;
  const { positions, lengths } = fetched.changes;
  for (let first = 0, offset = 0; first < positions.length; ) {
    const position = positions[first] ?? 0;
    let end = first;
    const start = offset;
    while (positions[end] === position && end < positions.length) offset += lengths[end++] ?? 0;
    values.set(position, await resolveKey(fetched, { position, first, end, offset: start }, options));
    first = end;
  }
  return values;
}

/** Which changes are those of one key, and where their bytes begin. */
interface ChangesOfKey {
  readonly position: number;
  readonly first: number;
  readonly end: number;
  readonly offset: number;
}

async function resolveKey(
  fetched: FetchedUnit,
  of: ChangesOfKey,
  options: ResolveOptions,
): Promise<Uint8Array> {
  const key = fetched.unit.keys.slice(of.position * KEY_SIZE, (of.position + 1) * KEY_SIZE);
  const { image, records } = readChanges(fetched, of, options);
  if (records.length === 0 && image !== undefined) return checkedSize(key, image);
  if (options.redo === undefined) throw needsRedo(key, newestOf(fetched, of.position, options.lsn));
  const base = image ?? imageBelow(fetched, { key, position: of.position, options });
  const request = { key, parsedKey: parseKey(key), lsn: options.lsn, base, records };
  return checkedSize(key, await options.redo(request, { signal: options.signal }));
}

function readChanges(
  { changes, unit }: FetchedUnit,
  { position, first, end, offset }: ChangesOfKey,
  { decompressor }: ResolveOptions,
): { readonly image: Uint8Array | undefined; readonly records: readonly RedoRecord[] } {
  let image: Uint8Array | undefined;
  const records: RedoRecord[] = [];
  for (let i = first, start = offset; changes !== undefined && i < end; i += 1) {
    const length = changes.lengths[i] ?? 0;
    const value = decodeNamed(unit.keys, position, () =>
      decodeValue(decompressor.decodeBlob(changes.blobs.subarray(start, start + length))),
    );
    if (value.kind === 'record') records.push({ lsn: toLsn(changes.lsns[i] ?? 0n), record: value.record });
    else [image, records.length] = [value.image, 0];
    start += length;
  }
  return { image, records };
}

function decodeNamed<T>(keys: Uint8Array, position: number, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    const key = keys.slice(position * KEY_SIZE, (position + 1) * KEY_SIZE);
    if (!(cause instanceof NeonLayerError)) throw cause;
    const { code, message } = cause;
    throw new NeonLayerError({
      code,
      operation: 'read',
      message: `A change of ${describeKey(key)} cannot be read. ${message}`,
      context: { ...cause.context, key: keyToHex(key) },
      cause,
    });
  }
}

function imageBelow(
  fetched: FetchedUnit,
  of: { readonly key: Uint8Array; readonly position: number; readonly options: ResolveOptions },
): Uint8Array | undefined {
  if (!hasImage(fetched, of.position)) return undefined;
  try {
    const blob = blobAt(fetched, of.position);
    return of.options.decompressor.decodeBlob(blob, { sizeMaxBytes: valueSizeMax(of.key) });
  } catch (error) {
    throw nameValue(error, fetched, of.position);
  }
}

function newestOf({ unit }: FetchedUnit, position: number, fallback: Lsn) {
  const newest = unit.changes.get(position)?.[0];
  return { lsn: newest?.lsn ?? fallback, layer: newest?.file.objectKey ?? '' };
}

function checkedSize(key: Uint8Array, value: Uint8Array): Uint8Array {
  if (!isRelationBlockKey(key) || value.length === BLOCK_SIZE) return value;
  throw new NeonLayerError({
    code: 'NEON_LAYER_CORRUPT',
    operation: 'read',
    message: `${describeKey(key)} has ${value.length} bytes, expected ${BLOCK_SIZE}.`,
    context: { key: keyToHex(key), sizeBytes: value.length },
  });
}
