import { expect, it } from 'vitest';
import { KEY_MAX, KEY_MIN, relBlockKey } from './key.ts';
import { createPageDecompressor } from './page-decompressor.ts';
import { at, imageValue, MAIN, memoryTimelines, recordValue, TENANT } from './testing/memory-timeline.ts';
import { openTimelineView, type TimelineView } from './timeline-view.ts';
import { decodeValue } from './value.ts';
import type { NeonWalRecord } from './wal-record.ts';

const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;
const [BLOCK_0, BLOCK_1, BLOCK_2] = [relBlockKey(TAG, 0), relBlockKey(TAG, 1), relBlockKey(TAG, 2)];
const ALL = { start: KEY_MIN, end: KEY_MAX };
const page = (byte: number) => new Uint8Array(8192).fill(byte);

/** Of every page in batches: block number, first byte of its image, LSN and first byte of what delta layers hold. */
async function storedPages(view: TimelineView): Promise<readonly string[]> {
  const decompressor = createPageDecompressor();
  const found: string[] = [];
  for await (const { pageCount, runs, blockNumbers, blobs, lengths, changes } of view.readPages(ALL)) {
    expect(runs).toEqual([{ tag: TAG, pageStart: 0, pageEnd: pageCount }]);
    let offset = 0;
    const images = [...lengths].map((length) => {
      const blob = blobs.subarray(offset, offset + length);
      offset += length;
      return length === 0 ? 'nothing' : `${decompressor.decodeBlob(blob)[0]}`;
    });
    const above = images.map((): string[] => []);
    let start = 0;
    for (const [i, length] of (changes?.lengths ?? []).entries()) {
      const blob = changes?.blobs.subarray(start, start + length) ?? new Uint8Array();
      const value = decodeValue(decompressor.decodeBlob(blob));
      const byte = value.kind === 'image' ? value.image[0] : bytesOf(value.record)[0];
      above[changes?.positions[i] ?? -1]?.push(`${value.kind} ${byte}@${changes?.lsns[i]}`);
      start += length;
    }
    for (const [i, block] of blockNumbers.entries())
      found.push(`${block}: ${images[i]} ${above[i]?.join(' ')}`.trim());
  }
  return found;
}

function bytesOf(record: NeonWalRecord): Uint8Array {
  return record.kind === 'postgres' ? record.record : new Uint8Array();
}

it('pages in batches are images and what delta layers hold above them, oldest first', async () => {
  const entries = [
    [BLOCK_0, page(1)],
    [BLOCK_1, page(2)],
  ] as const;
  const older = [
    [BLOCK_0, 15, recordValue(0x0a)],
    [BLOCK_1, 15, imageValue(page(3))],
    [BLOCK_2, 12, recordValue(0x0b)],
    [BLOCK_2, 14, recordValue(0x0c, { willInit: true })],
  ] as const;
  const newer = [
    [BLOCK_0, 30, recordValue(0x0d)],
    [BLOCK_1, 25, recordValue(0x0e)],
    [BLOCK_2, 26, recordValue(0x0f)],
  ] as const;
  const storage = await memoryTimelines({
    end: 30,
    layers: [
      { imageAt: 10, entries },
      { deltaOf: [11, 21], changes: older },
      { deltaOf: [21, 31], changes: newer },
    ],
  });
  const view = await openTimelineView(storage, { tenant: TENANT, timelineId: MAIN });
  expect(await storedPages(view)).toEqual([
    '0: 1 record 10@15 record 13@30',
    '1: nothing image 3@15 record 14@25',
    '2: nothing record 12@14 record 15@26',
  ]);
  expect(await storedPages(view.at(at(14)))).toEqual(['0: 1', '1: 2', '2: nothing record 12@14']);
});
