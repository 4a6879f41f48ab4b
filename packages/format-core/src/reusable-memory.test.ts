import { expect, test } from 'vitest';
import { releaseChunk } from './release-chunk.ts';
import { ReusableMemory } from './reusable-memory.ts';

test('a buffer is used again only when all of its chunks were released', () => {
  const memory = new ReusableMemory({ sizeBytes: 100 });
  const buffer = memory.take();
  const [first, second] = memory.cut(buffer, [60, 40]);
  if (first === undefined || second === undefined) throw new Error('two chunks were cut');
  expect([first.byteLength, second.byteOffset]).toEqual([60, 60]);
  releaseChunk(first);
  releaseChunk(first);
  expect(memory.take()).not.toBe(buffer);
  releaseChunk(second);
  expect(memory.take()).toBe(buffer);
});
