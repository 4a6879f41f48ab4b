import { describe, expect, test } from 'vitest';
import { ChunkReader } from './chunk-reader.ts';
import {
  incrementalPathOf,
  isVisibilityMap,
  pathOfIncremental,
  readIncrementalHeader,
} from './incremental-file.ts';

/**
 * What Postgres 17.10 wrote for a table of ten blocks (fillfactor 50) after an update of the rows in blocks 3, 4 and 9: 24 bytes, and
 * zeros up to 8192.
 */
const GOLDEN = '0d1faed3030000000a000000030000000400000009000000';
const HEADER = Buffer.concat([Buffer.from(GOLDEN, 'hex'), Buffer.alloc(8192 - 24)]);
const FILE = Buffer.concat([HEADER, Buffer.alloc(3 * 8192, 7)]);
const PATH = 'base/5/INCREMENTAL.1259';

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

function read(bytes: Uint8Array, sizeBytes = bytes.length, chunkSize = 1000) {
  const reader = new ChunkReader(inChunks(bytes, chunkSize), { path: PATH });
  return readIncrementalHeader((size) => reader.take(size), { path: PATH, sizeBytes });
}

function changed(offset: number, value: number): Uint8Array {
  const bytes = Uint8Array.from(FILE);
  new DataView(bytes.buffer).setUint32(offset, value, true);
  return bytes;
}

describe('the header of an incremental file', () => {
  test.each([1, 5, 8192, 100_000])('is read from chunks of %i bytes', async (chunkSize) => {
    const header = await read(FILE, FILE.length, chunkSize);
    expect(header).toEqual({
      blocks: Uint32Array.of(3, 4, 9),
      truncationBlockLength: 10,
      headerSizeBytes: 8192,
    });
  });

  test('of no blocks has 12 bytes', async () => {
    const bytes = Buffer.from('0d1faed30000000005000000', 'hex');
    const header = { blocks: new Uint32Array(0), truncationBlockLength: 5, headerSizeBytes: 12 };
    expect(await read(bytes)).toEqual(header);
    await expect(read(Buffer.concat([bytes, Buffer.alloc(1)]))).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
    });
  });

  test('that is cut anywhere is an error', async () => {
    for (let size = 0; size < 40; size += 1) {
      await expect(read(FILE.subarray(0, size))).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
      await expect(read(FILE.subarray(0, size), FILE.length)).rejects.toMatchObject({
        code: 'FORMAT_TRUNCATED',
      });
    }
  });

  test.each([
    ['another magic', 0, 0xd3ae1f0e],
    ['more blocks than it has', 4, 4],
    ['more blocks than a segment', 4, 131_073],
    ['a length of more than a segment', 8, 131_073],
    ['a block twice', 16, 3],
    ['blocks that descend', 20, 2],
    ['a block behind the segment', 20, 131_072],
  ])('with %s is an error', async (_, offset, value) => {
    await expect(read(changed(offset, value))).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  });
});

test('names lead to the whole file and back', () => {
  expect(pathOfIncremental(PATH)).toBe('base/5/1259');
  expect(pathOfIncremental('pg_tblspc/16500/PG_17_202406281/5/INCREMENTAL.16600_vm.1')).toBe(
    'pg_tblspc/16500/PG_17_202406281/5/16600_vm.1',
  );
  for (const path of ['base/5/1259', 'INCREMENTAL.1259', 'base/5/INCREMENTAL.pg_filenode.map']) {
    expect(pathOfIncremental(path)).toBeUndefined();
  }
  expect(incrementalPathOf('base/5/1259')).toBe(PATH);
  expect(isVisibilityMap('base/5/1259_vm')).toBe(true);
  expect(isVisibilityMap('base/5/1259_fsm')).toBe(false);
});
