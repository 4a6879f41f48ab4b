import { type PutBody, StorageError, sizeMismatchError, throwIfAborted } from '@neon-snapshot/storage-core';
import type { PartMemory } from './part-memory.ts';
import { PARTS_MAX, type PartPlan } from './part-plan.ts';

export interface Part {
  readonly index: number;
  readonly bytes: Buffer;
  readonly isLast: boolean;
  /** To be called once the bytes are stored; not after a failure, when a socket may still be reading them. */
  release(): void;
}

export interface ReadPartsOptions {
  readonly key: string;
  readonly plan: PartPlan;
  readonly memory: PartMemory;
  /** Announced size, where there is one: a body of another size is `STORAGE_TRUNCATED`, before its last part is given. */
  readonly sizeBytes: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A body cut into parts of the planned sizes; at least one, which may be empty. An array is cut without a copy. */
export function readParts(body: PutBody, options: ReadPartsOptions): AsyncGenerator<Part> | Generator<Part> {
  return body instanceof Uint8Array ? cutArray(body, options.plan) : cutStream(body, options);
}

function* cutArray(body: Uint8Array, plan: PartPlan): Generator<Part> {
  let offset = 0;
  for (let index = 0; ; index++) {
    const end = Math.min(offset + plan(index), body.byteLength);
    const bytes = Buffer.from(body.buffer, body.byteOffset + offset, end - offset);
    const isLast = end === body.byteLength;
    yield { index, bytes, isLast, release: () => {} };
    if (isLast) return;
    offset = end;
  }
}

async function* cutStream(body: AsyncIterable<Uint8Array>, options: ReadPartsOptions): AsyncGenerator<Part> {
  const { key, plan, memory, sizeBytes, signal } = options;
  let index = 0;
  let foundBytes = 0;
  let filled = 0;
  let buffer: Buffer | undefined;
  const part = (isLast: boolean): Part => {
    const owned = buffer ?? Buffer.alloc(0);
    const bytes = owned.subarray(0, filled);
    if (index >= PARTS_MAX) throw tooManyParts(key);
    buffer = undefined;
    filled = 0;
    return { index: index++, bytes, isLast, release: () => memory.give(owned) };
  };
  for await (const chunk of body) {
    throwIfAborted(signal, { operation: 'put', key });
    foundBytes += chunk.byteLength;
    if (sizeBytes !== undefined && foundBytes > sizeBytes)
      throw sizeMismatchError({ key, expectedBytes: sizeBytes, foundBytes });
    let taken = 0;
    while (taken < chunk.byteLength) {
      if (buffer !== undefined && filled === buffer.byteLength) yield part(false);
      buffer ??= memory.take(nextSize(plan(index), sizeBytes, foundBytes - chunk.byteLength + taken));
      const count = Math.min(chunk.byteLength - taken, buffer.byteLength - filled);
      buffer.set(
        taken === 0 && count === chunk.byteLength ? chunk : chunk.subarray(taken, taken + count),
        filled,
      );
      filled += count;
      taken += count;
    }
  }
  if (sizeBytes !== undefined && foundBytes !== sizeBytes)
    throw sizeMismatchError({ key, expectedBytes: sizeBytes, foundBytes });
  yield part(true);
}

/** A part of its planned size, but no more than is still announced. */
function nextSize(planned: number, sizeBytes: number | undefined, offset: number): number {
  return sizeBytes === undefined ? planned : Math.min(planned, sizeBytes - offset);
}

function tooManyParts(key: string): StorageError {
  return new StorageError({
    code: 'STORAGE_TOO_LARGE',
    operation: 'put',
    key,
    message: `${key} needs more than ${PARTS_MAX} parts; announce its size or set a larger part size`,
  });
}
