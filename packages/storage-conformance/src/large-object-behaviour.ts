import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { expectStorageError, type KitTest, listKeys, readObject } from './kit-helpers.ts';

const MIB = 2 ** 20;
/** Every so many bytes hold where they are. */
const STAMP_EVERY_BYTES = 64 * 1024;
const CHUNK_BYTES = 4 * MIB;
/** The slowest store that is waited for. */
const BYTES_PER_MS_MIN = 10_000;

/** One object of many parts, of a size that only its stream tells: whole, by ranges up to its far end, copied. */
export function describeLargeObject(kitTest: KitTest, sizeBytes: number): void {
  const timeoutFactor = Math.max(1, sizeBytes / BYTES_PER_MS_MIN / 30_000);
  describe(`an object of ${sizeBytes} bytes`, () => {
    kitTest(
      'is stored from a stream, read whole and by ranges up to its far end, copied and deleted',
      async (storage) => {
        const size = Math.min(sizeBytes, storage.capability.objectSizeMaxBytes);
        expect((await storage.put('large', stampedStream(size))).sizeBytes).toBe(size);
        await expectLarge(storage, 'large', size);
        if (storage.copy !== undefined) {
          expect((await storage.copy('large', 'copy')).sizeBytes).toBe(size);
          await storage.delete(['large']);
          await expectLarge(storage, 'copy', size);
        }
        await storage.delete(['large', 'copy']);
        expect(await listKeys(storage)).toEqual([]);
      },
      { timeoutFactor },
    );
  });
}

async function expectLarge(storage: Storage, key: string, size: number): Promise<void> {
  expect((await storage.head(key)).sizeBytes).toBe(size);
  for await (const { objects } of storage.list({ prefix: key }))
    expect(objects.map((info) => info.sizeBytes)).toEqual([size]);
  for (const [offset, length] of rangesOf(size)) {
    const found = await readObject(storage, key, { offset, length });
    expect(Buffer.compare(found, stampedBytes(offset, length)), `${length} bytes at ${offset}`).toBe(0);
  }
  expect(await readObject(storage, key, { offset: size - 3 })).toHaveLength(3);
  await expectStorageError(readObject(storage, key, { offset: size - 1, length: 2 }), 'STORAGE_TRUNCATED');

  let offset = 0;
  for await (const chunk of (await storage.get(key)).body) {
    if (Buffer.compare(chunk, stampedBytes(offset, chunk.byteLength)) !== 0)
      expect.fail(`the ${chunk.byteLength} bytes at ${offset} are others than were put`);
    offset += chunk.byteLength;
  }
  expect(offset).toBe(size);
}

/** Both ends, and around where a number of 31 or 32 bits ends. */
function rangesOf(size: number): (readonly [offset: number, length: number])[] {
  const around = [size / 2, 8 * MIB, 2 ** 31, 2 ** 32].map((place) => Math.floor(place) - 500);
  const ranges: (readonly [number, number])[] = [
    [0, 1],
    [size - 1, 1],
    [size - 1000, 1000],
    ...around.map((offset) => [offset, 1000] as const),
  ];
  return ranges.filter(([offset, length]) => offset >= 0 && offset + length <= size);
}

/** The buffer of a chunk is used again for the next, as producers may. */
async function* stampedStream(sizeBytes: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let offset = 0; offset < sizeBytes; offset += CHUNK_BYTES) {
    const chunk = buffer.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - offset));
    stamp(chunk, offset);
    yield chunk;
  }
}

function stampedBytes(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  stamp(bytes, offset);
  return bytes;
}

/** Fills what lies at `offset` of the object; cheap enough for gigabytes. */
function stamp(bytes: Uint8Array, offset: number): void {
  const first = Math.floor(offset / STAMP_EVERY_BYTES);
  for (let index = first; index * STAMP_EVERY_BYTES < offset + bytes.length; index++) {
    const start = index * STAMP_EVERY_BYTES - offset;
    bytes.fill(index % 251, Math.max(0, start), start + STAMP_EVERY_BYTES);
    const place = Buffer.alloc(8);
    place.writeDoubleLE(index);
    for (const [at, byte] of place.entries())
      if (start + at >= 0 && start + at < bytes.length) bytes[start + at] = byte;
  }
}
