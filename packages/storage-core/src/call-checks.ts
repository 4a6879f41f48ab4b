import type { StorageCapability } from './capability.ts';
import type { ByteRange, PutOptions } from './storage.ts';
import { StorageError, type StorageOperation } from './storage-error.ts';
import { assertValidKey } from './storage-key.ts';

export interface CallPlace {
  readonly operation: StorageOperation;
  readonly key?: string | undefined;
}

/** Throws `STORAGE_ABORTED`, with the signal's reason as the cause, when the caller has given up. */
export function throwIfAborted(signal: AbortSignal | undefined, place: CallPlace): void {
  if (signal?.aborted) throw abortedError(signal, place);
}

export function abortedError(signal: AbortSignal, place: CallPlace): StorageError {
  return new StorageError({
    code: 'STORAGE_ABORTED',
    operation: place.operation,
    message: `${place.operation}${place.key === undefined ? '' : ` of ${place.key}`} was aborted`,
    key: place.key,
    cause: signal.reason,
  });
}

/** The error for a verb or option that the capability data rules out. */
export function unsupportedError(
  place: CallPlace & { readonly what: string; readonly url: string },
): StorageError {
  return new StorageError({
    code: 'STORAGE_UNSUPPORTED',
    operation: place.operation,
    message: `${place.url} does not support ${place.what}`,
    key: place.key,
    context: { url: place.url },
  });
}

export interface PutCheck {
  readonly url: string;
  readonly capability: StorageCapability;
  readonly key: string;
  /** Size of the body where it is known. */
  readonly sizeBytes: number | undefined;
  readonly options: PutOptions;
}

/** Everything about a put that can be refused before any I/O: key, conditions, capability, size, signal. */
export function assertValidPut(check: PutCheck): void {
  const { url, capability, key, options } = check;
  const place = { operation: 'put', key } as const;
  assertValidKey(key, { operation: 'put', keyLengthMaxBytes: capability.keyLengthMaxBytes });
  if (!capability.writable) throw unsupportedError({ ...place, url, what: 'writing' });
  if (options.ifNoneMatch !== undefined && options.ifMatch !== undefined) {
    throw invalidOption(place, 'ifNoneMatch and ifMatch exclude each other');
  }
  if (options.ifNoneMatch !== undefined && !capability.conditionalPut.ifNoneMatch) {
    throw unsupportedError({ ...place, url, what: 'put-if-absent (ifNoneMatch)' });
  }
  if (options.ifMatch !== undefined && !capability.conditionalPut.ifMatch) {
    throw unsupportedError({ ...place, url, what: 'put-if-unchanged (ifMatch)' });
  }
  if (key.endsWith('/') && (check.sizeBytes ?? 0) > 0) {
    throw invalidOption(place, `${key} is a directory marker and takes an empty body only`);
  }
  assertBodySize(check);
  throwIfAborted(options.signal, place);
}

function assertBodySize({ key, capability, sizeBytes, options, url }: PutCheck): void {
  const announced = options.sizeBytes;
  if (announced !== undefined && (!Number.isSafeInteger(announced) || announced < 0)) {
    throw invalidOption({ operation: 'put', key }, `sizeBytes ${announced} is not a size`);
  }
  if (sizeBytes !== undefined && announced !== undefined && announced !== sizeBytes) {
    throw sizeMismatchError({ key, expectedBytes: announced, foundBytes: sizeBytes });
  }
  const known = sizeBytes ?? announced;
  if (known !== undefined && known > capability.objectSizeMaxBytes) {
    throw new StorageError({
      code: 'STORAGE_TOO_LARGE',
      operation: 'put',
      message: `${key} has ${known} bytes; ${url} takes at most ${capability.objectSizeMaxBytes} an object`,
      key,
    });
  }
}

/** A streamed body that was not as long as announced. */
export function sizeMismatchError(facts: {
  readonly key: string;
  readonly expectedBytes: number;
  readonly foundBytes: number;
}): StorageError {
  return new StorageError({
    code: 'STORAGE_TRUNCATED',
    operation: 'put',
    message: `the body of ${facts.key} has ${facts.foundBytes} bytes, ${facts.expectedBytes} were announced; nothing was stored`,
    key: facts.key,
    context: { expectedBytes: facts.expectedBytes, foundBytes: facts.foundBytes },
  });
}

/** Refuses a range whose numbers make no sense, before any I/O. Throws `STORAGE_INVALID_OPTION`. */
export function assertValidRange(range: ByteRange | undefined, key: string): void {
  if (range === undefined) return;
  for (const [name, value] of [
    ['offset', range.offset],
    ['length', range.length ?? 0],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw invalidOption({ operation: 'get', key }, `range ${name} ${value} is not a byte count`);
    }
  }
}

/**
 * The range as `[offset, end)` of an object of known size. An empty range that starts at the end is inside;
 * anything beyond the end is `STORAGE_TRUNCATED`.
 */
export function resolveRange(facts: {
  readonly key: string;
  readonly range: ByteRange | undefined;
  readonly sizeBytes: number;
}): { readonly offset: number; readonly end: number } {
  const { key, range, sizeBytes } = facts;
  if (range === undefined) return { offset: 0, end: sizeBytes };
  const end = range.length === undefined ? sizeBytes : range.offset + range.length;
  if (range.offset <= sizeBytes && end <= sizeBytes) return { offset: range.offset, end };
  const wanted = range.length === undefined ? `from ${range.offset}` : `${range.offset} to ${end}`;
  throw new StorageError({
    code: 'STORAGE_TRUNCATED',
    operation: 'get',
    message: `bytes ${wanted} of ${key} were asked for, but it has ${sizeBytes} bytes`,
    key,
    context: { offset: range.offset, length: range.length, sizeBytes },
  });
}

/** The error for an option that makes no sense. */
export function invalidOption(place: CallPlace, message: string): StorageError {
  return new StorageError({
    code: 'STORAGE_INVALID_OPTION',
    operation: place.operation,
    message,
    key: place.key,
  });
}
