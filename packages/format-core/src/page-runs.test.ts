import { expect, test } from 'vitest';
import { pageRuns } from './page-runs.ts';

const PAGE = 8192;

async function* chunksOf(bytes: Uint8Array, size: number) {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.slice(offset, offset + size);
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

test.each([1000, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 5 * PAGE + 17, 100 * PAGE])(
  'chunks of %i bytes become runs of whole pages with the same bytes',
  async (chunkSize) => {
    const bytes = pattern(23 * PAGE);
    const runs = await collect(pageRuns(chunksOf(bytes, chunkSize), { pageCountMax: 4, path: 'base/1/2' }));
    for (const run of runs) {
      expect(run.length % PAGE).toBe(0);
      expect(run.length).toBeGreaterThan(0);
      expect(run.length).toBeLessThanOrEqual(4 * PAGE);
    }
    expect(Buffer.concat(runs).equals(bytes)).toBe(true);
  },
);

test('a run that was yielded is never written to again', async () => {
  const bytes = pattern(12 * PAGE);
  const runs: Uint8Array[] = [];
  const copies: Buffer[] = [];
  for await (const run of pageRuns(chunksOf(bytes, 5000), { pageCountMax: 2, path: 'base/1/2' })) {
    runs.push(run);
    copies.push(Buffer.from(run));
  }
  for (const [index, run] of runs.entries()) expect(copies[index]?.equals(run)).toBe(true);
});

test('a file that ends inside a page is truncated, naming the file', async () => {
  const reading = collect(pageRuns(chunksOf(pattern(PAGE + 5), 4096), { pageCountMax: 4, path: 'base/1/2' }));
  await expect(reading).rejects.toMatchObject({
    code: 'FORMAT_TRUNCATED',
    message: expect.stringContaining('base/1/2 ends inside a page: its last page has 5 of 8192 bytes'),
  });
});

test('an aligned chunk passes through without a copy', async () => {
  const chunk = pattern(2 * PAGE);
  async function* one() {
    yield chunk;
  }
  const [run] = await collect(pageRuns(one(), { pageCountMax: 128, path: 'x' }));
  expect(run?.buffer).toBe(chunk.buffer);
});
