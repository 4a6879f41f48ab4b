import { createPageCompressor } from '@neon-snapshot/neon-layer';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { expect, test } from 'vitest';
import { makePages } from '../testing/made-up-snapshot.ts';
import type { DecodeRequest, DecodeResult } from './decode-worker.ts';
import type { EncodeRequest, EncodeResult } from './encode-worker.ts';
import { createPageSlot, packRuns } from './page-slot.ts';
import { WorkerPool } from './worker-pool.ts';

function encodePool() {
  const url = new URL('./encode-worker.ts', import.meta.url);
  return new WorkerPool<EncodeRequest, EncodeResult>({ url, count: 1 });
}

function decodePool() {
  const url = new URL('./decode-worker.ts', import.meta.url);
  return new WorkerPool<DecodeRequest, DecodeResult>({ url, count: 1 });
}

test('what one thread encodes another one decodes, with checksums anew and without the old flag', async () => {
  const pages = makePages(5, { firstBlock: 100 });
  const stored = Uint8Array.from(pages);
  // A page that went through redo keeps an old checksum, one of an old Neon has the flag; new pages are zeros.
  stored.fill(0x77, 8, 10);
  stored[BLCKSZ + 10] = 8;
  stored.fill(0, 4 * BLCKSZ);
  const expected = Uint8Array.from(pages);
  expected.fill(0, 4 * BLCKSZ);
  await using encoders = encodePool();
  await using decoders = decodePool();
  const slot = createPageSlot();
  slot.pages.set(stored);
  const runs = (hasChecksums: boolean) => packRuns([{ count: 5, firstBlock: 100, hasChecksums }]);
  const { lengths } = await encoders.run({ slot, runs: runs(false), pageCount: 5 });
  const storedBytes = lengths.reduce((sum, length) => sum + length, 0);
  expect(storedBytes).toBeLessThan(5 * BLCKSZ);
  const { blobs: buffer } = slot;
  await decoders.run({ buffer, lengths, runs: runs(true) });
  expect(Buffer.compare(buffer.subarray(0, 5 * BLCKSZ), expected)).toBe(0);
});

test('pages are stored with the bytes that Neon stores', async () => {
  const pages = makePages(3);
  await using encoders = encodePool();
  const slot = createPageSlot();
  slot.pages.set(pages);
  const runs = packRuns([{ count: 3, firstBlock: 0, hasChecksums: true }]);
  const { lengths, faults } = await encoders.run({ slot, runs, pageCount: 3 });
  expect(faults).toEqual([]);
  const compressor = createPageCompressor();
  let offset = 0;
  for (let page = 0; page < 3; page += 1) {
    const blob = compressor.encodeBlob(pages.subarray(page * BLCKSZ, (page + 1) * BLCKSZ));
    expect(Buffer.from(slot.blobs.subarray(offset, offset + (lengths[page] ?? 0))).equals(blob)).toBe(true);
    offset += blob.length;
  }
  compressor.close();
});

test('a wrong block number is a fault, with both checksums', async () => {
  await using encoders = encodePool();
  const slot = createPageSlot();
  slot.pages.set(makePages(2, { firstBlock: 4 }));
  const runs = packRuns([{ count: 2, firstBlock: 5, hasChecksums: true }]);
  const { faults } = await encoders.run({ slot, runs, pageCount: 2 });
  expect(faults.map(({ index }) => index)).toEqual([0, 1]);
  expect(faults[0]?.found).not.toBe(faults[0]?.expected);
});

test('a damaged blob rejects its job, naming the page, and the thread goes on', async () => {
  await using decoders = decodePool();
  const request = (buffer: Uint8Array): DecodeRequest => ({
    buffer,
    lengths: Uint32Array.of(buffer.length),
    runs: packRuns([{ count: 1, firstBlock: 0, hasChecksums: false }]),
  });
  const shared = (length: number) => new Uint8Array(new SharedArrayBuffer(length));
  const damaged = shared(5);
  damaged.set([0x90, 0, 0, 1, 7]);
  await expect(decoders.run(request(damaged))).rejects.toMatchObject({
    failure: { code: 'NEON_LAYER_CORRUPT', pageIndex: 0 },
  });
  const plain = shared(4 + BLCKSZ);
  plain.set([0x80, 0, 0x20, 0]);
  const page = makePages(1);
  plain.set(page, 4);
  await decoders.run(request(plain));
  expect(Buffer.from(plain.subarray(0, BLCKSZ)).equals(page)).toBe(true);
});

test('of imported pages a changed byte is found before the checksums are made anew', async () => {
  await using decoders = decodePool();
  const pages = makePages(3, { firstBlock: 7 });
  const stored = new Uint8Array(new SharedArrayBuffer(3 * (4 + BLCKSZ)));
  for (let page = 0; page < 3; page += 1) {
    stored.set([0x80, 0, 0x20, 0], page * (4 + BLCKSZ));
    stored.set(pages.subarray(page * BLCKSZ, (page + 1) * BLCKSZ), page * (4 + BLCKSZ) + 4);
  }
  const damagedAt = 2 * (4 + BLCKSZ) + 4 + 5000;
  stored[damagedAt] = (stored[damagedAt] ?? 0) ^ 1;
  const run = (isImported: boolean) =>
    decoders.run({
      buffer: Uint8Array.from(stored),
      lengths: Uint32Array.of(4 + BLCKSZ, 4 + BLCKSZ, 4 + BLCKSZ),
      // Two files in one batch: blocks 7 and 8 of one, block 9 of another.
      runs: packRuns([
        { count: 2, firstBlock: 7, hasChecksums: true },
        { count: 1, firstBlock: 9, hasChecksums: true },
      ]),
      isImported,
    });
  const { faults } = await run(true);
  expect(faults.map(({ index }) => index)).toEqual([2]);
  expect(faults[0]?.found).not.toBe(faults[0]?.expected);
  expect((await run(false)).faults).toEqual([]);
});

test('jobs of a closed pool are rejected', async () => {
  const pool = decodePool();
  await pool[Symbol.asyncDispose]();
  const job = pool.run({ buffer: new Uint8Array(), lengths: new Uint32Array(), runs: new Uint32Array() });
  await expect(job).rejects.toThrow('closed');
});
