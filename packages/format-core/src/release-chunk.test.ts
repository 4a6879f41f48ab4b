import { expect, test } from 'vitest';
import { releaseChunk, reusableChunk } from './release-chunk.ts';

const LARGE_BYTES = 1024 * 1024;

test('a large chunk of its own is freed', () => {
  const chunk = new Uint8Array(LARGE_BYTES);
  releaseChunk(chunk);
  expect(chunk.buffer.byteLength).toBe(0);
});

test('a part of a larger buffer, a small chunk and shared memory are left alone', () => {
  const parts = [
    new Uint8Array(2 * LARGE_BYTES).subarray(0, LARGE_BYTES),
    new Uint8Array(1024),
    new Uint8Array(new SharedArrayBuffer(LARGE_BYTES)),
  ];
  for (const part of parts) {
    const { byteLength } = part;
    releaseChunk(part);
    expect(part.byteLength).toBe(byteLength);
  }
});

test('a reusable chunk goes back to its maker, once', () => {
  let returned = 0;
  const chunk = reusableChunk(new Uint8Array(LARGE_BYTES), () => {
    returned += 1;
  });
  releaseChunk(chunk);
  expect(returned).toBe(1);
  expect(chunk.byteLength).toBe(LARGE_BYTES);
});
