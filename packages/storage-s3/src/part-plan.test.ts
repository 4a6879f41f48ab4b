import { expect, test } from 'vitest';
import { createPartMemory } from './part-memory.ts';
import { PARTS_MAX, planParts } from './part-plan.ts';
import { readParts } from './read-parts.ts';

const MIB = 2 ** 20;
const TIB = 2 ** 40;

test.each([
  [0, 8 * MIB],
  [80_000 * MIB, 8 * MIB],
  [80_001 * MIB, 9 * MIB],
  [5 * TIB, 525 * MIB],
])('A body of %d bytes gets parts of %d bytes, at most 10,000 of them', (sizeBytes, partSizeBytes) => {
  const plan = planParts(8 * MIB, sizeBytes);
  expect([plan(0), plan(PARTS_MAX - 1)]).toEqual([partSizeBytes, partSizeBytes]);
  expect(Math.ceil(sizeBytes / partSizeBytes)).toBeLessThanOrEqual(PARTS_MAX);
});

test('A body of unknown size may grow beyond 2 TiB with no part above 512 MiB', () => {
  const plan = planParts(8 * MIB, undefined);
  const sizes = Array.from({ length: PARTS_MAX }, (_, index) => plan(index));
  expect(sizes[0]).toBe(8 * MIB);
  expect(sizes[999]).toBe(8 * MIB);
  expect(sizes[1000]).toBe(16 * MIB);
  expect(Math.max(...sizes)).toBe(512 * MIB);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(2 * TIB);
});

test('Buffers of parts are reused: as many exist as parts are held at once', async () => {
  const memory = createPartMemory({ partSizeBytes: 1000, slots: 2 });
  const body = (async function* () {
    for (let count = 0; count < 100; count++) yield new Uint8Array(700).fill(count);
  })();
  const buffers = new Set<ArrayBufferLike>();
  let sizeBytes = 0;
  const options = { key: 'k', plan: () => 1000, memory, sizeBytes: undefined, signal: undefined };
  for await (const part of readParts(body, options)) {
    buffers.add(part.bytes.buffer);
    sizeBytes += part.bytes.byteLength;
    part.release();
  }
  expect(sizeBytes).toBe(70_000);
  expect(buffers.size).toBeLessThanOrEqual(2);
});

test('No more uploads run at once than there are slots, and all of them run', async () => {
  const memory = createPartMemory({ partSizeBytes: 1000, slots: 3 });
  let running = 0;
  let peak = 0;
  const work = async (fails: boolean) => {
    running++;
    peak = Math.max(peak, running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (fails) throw new Error('failed');
  };
  const uploads = Array.from({ length: 20 }, (_, index) => memory.upload(() => work(index % 3 === 0)));
  const outcomes = await Promise.allSettled(uploads);
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(13);
  expect(peak).toBe(3);
});
