import { relBlockKey } from '@neon-snapshot/neon-layer';
import { RESOURCE_MANAGER, type RelTag } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { type BlockParts, makeRecord, text } from './testing/record-builder.ts';
import { FIRST_END, GAP_BLOCKS_MAX, makeTestTimeline, TABLE, type Written } from './testing/test-timeline.ts';

const BTREE = RESOURCE_MANAGER.btree;
const RELATION = 'relation 1663/5/16384 fork 0';
/** `BKPIMAGE_HAS_HOLE` and, from 15 on, `_APPLY` and the compressions. */
const IMAGE = { hasHole: 0x01, apply: 0x02, pglz: 0x04, lz4: 0x08, zstd: 0x10 } as const;

function btree(...blocks: readonly BlockParts[]): Uint8Array {
  return makeRecord({ resourceManager: BTREE, info: 0x00, blocks });
}

async function taken(record: Uint8Array, relations: readonly (readonly [RelTag, number])[] = [[TABLE, 8]]) {
  return (await makeTestTimeline({ relations })).take(record);
}

function stored(block: number, record: Uint8Array, willInit = false): Written {
  return [`block ${block} of ${RELATION}`, { willInit, size: record.length }];
}

describe('block references', () => {
  it('get the record, once for each block', async () => {
    const record = btree({ tag: TABLE, blockNumber: 3 }, { tag: TABLE, blockNumber: 5, data: text('x') });
    expect(await taken(record)).toEqual([stored(3, record), stored(5, record)]);
  });

  it('need no older state where the record makes the page or holds an image to restore', async () => {
    const image = { bytes: new Uint8Array(8192), info: IMAGE.apply };
    const record = btree(
      { tag: TABLE, blockNumber: 0, willInit: true },
      { tag: TABLE, blockNumber: 1, image },
      { tag: TABLE, blockNumber: 2, image: { ...image, info: 0 } },
    );
    expect(await taken(record)).toEqual([
      stored(0, record, true),
      stored(1, record, true),
      stored(2, record),
    ]);
  });

  it('make a relation that was not there', async () => {
    const record = btree({ tag: TABLE, blockNumber: 0 });
    expect(await taken(record, [])).toEqual([
      ['the relation directory of database 1663/5', ['16384 0']],
      [`the size of ${RELATION}`, 1],
      stored(0, record),
    ]);
  });

  it('make a relation longer; blocks that are skipped become zeros', async () => {
    const record = btree({ tag: TABLE, blockNumber: 8 }, { tag: TABLE, blockNumber: 11 });
    expect(await taken(record)).toEqual([
      [`the size of ${RELATION}`, 12],
      stored(8, record),
      [`block 9 of ${RELATION}`, '8192 zeros'],
      [`block 10 of ${RELATION}`, '8192 zeros'],
      stored(11, record),
    ]);
  });

  it('write a block that was skipped and then referred to once', async () => {
    const record = btree({ tag: TABLE, blockNumber: 10 }, { tag: TABLE, blockNumber: 9 });
    expect(await taken(record)).toEqual([
      [`the size of ${RELATION}`, 11],
      [`block 8 of ${RELATION}`, '8192 zeros'],
      stored(9, record),
      stored(10, record),
    ]);
  });

  it('may skip very many blocks, but not all there can be', async () => {
    const test = await makeTestTimeline({ relations: [[TABLE, 8]] });
    expect((await test.take(btree({ tag: TABLE, blockNumber: 20_000 }))).length).toBe(20_000 - 8 + 2);
    const far = test.take(btree({ tag: TABLE, blockNumber: 20_001 + GAP_BLOCKS_MAX + 1 }));
    await expect(far).rejects.toMatchObject({ code: 'INGEST_TOO_LARGE' });
  });

  it('that no key can stand for are refused', async () => {
    const refused = (tag: RelTag, blockNumber: number) => taken(btree({ tag, blockNumber }));
    const invalid = { code: 'INGEST_INVALID_RECORD' };
    await expect(refused({ ...TABLE, relNode: 0 }, 1)).rejects.toMatchObject(invalid);
    await expect(refused(TABLE, 0xffff_ffff)).rejects.toMatchObject(invalid);
    const far = refused({ ...TABLE, spcNode: 65_536 }, 1);
    await expect(far).rejects.toMatchObject({ code: 'INGEST_UNSUPPORTED' });
  });
});

describe('full page images', () => {
  /** A page with 16 bytes at its start, `pd_upper` among them, and 8 at its end. */
  const head = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 16, 0, 0xf8, 0x1f]);
  const tail = text('the tail');
  const withHole = { bytes: Uint8Array.from([...head, ...tail]), holeOffset: 16 };

  async function pageOf(info: number, image: NonNullable<BlockParts['image']>, major = 16): Promise<unknown> {
    const test = await makeTestTimeline({ major, relations: [[TABLE, 1]] });
    const blocks = [{ tag: TABLE, blockNumber: 0, image }];
    const [write] = await test.take(makeRecord({ resourceManager: RESOURCE_MANAGER.xlog, info, blocks }));
    return write?.[1];
  }

  it.each([
    ['image', 0xb0, 16, 0x03],
    ['image for a hint', 0xa0, 16, 0x03],
    ['image of 14', 0xb0, 14, 0x05],
  ])('%s: the page with its hole and the end of the record', async (_, info, major, imageInfo) => {
    const page = new Uint8Array(8192);
    page.set(head);
    page.set(tail, 8184);
    new DataView(page.buffer).setUint32(0, Number(FIRST_END >> 32n), true);
    new DataView(page.buffer).setUint32(4, Number(FIRST_END & 0xffff_ffffn), true);
    expect(await pageOf(info, { ...withHole, info: imageInfo }, major)).toEqual(page);
  });

  it('of a new page keep its LSN', async () => {
    const bytes = new Uint8Array(8192).fill(9, 0, 8);
    expect(await pageOf(0xb0, { bytes, info: IMAGE.apply })).toEqual(bytes);
  });

  it.each([
    ['compressed by pglz', 0xb0, IMAGE.apply | IMAGE.pglz, 16],
    ['compressed by lz4', 0xb0, IMAGE.apply | IMAGE.lz4, 16],
    ['compressed by zstd', 0xb0, IMAGE.apply | IMAGE.zstd, 16],
    ['compressed by pglz in 14', 0xb0, 0x04 | 0x02, 14],
    ['with a consistency check', 0xb2, IMAGE.apply, 16],
  ])('%s: the record', async (_, info, imageInfo, major) => {
    const image = { bytes: new Uint8Array(info === 0xb2 ? 8192 : 100), info: imageInfo };
    expect(await pageOf(info, image, major)).toMatchObject({ willInit: true });
  });

  it('compressed and with a hole: the record', async () => {
    const info = IMAGE.apply | IMAGE.pglz | IMAGE.hasHole;
    const image = { bytes: new Uint8Array(100), holeOffset: 40, holeLength: 500, info };
    expect(await pageOf(0xb0, image)).toMatchObject({ willInit: true });
  });

  it('that are there for a check only: the record, which needs the older page', async () => {
    expect(await pageOf(0xb0, { bytes: new Uint8Array(8192), info: 0 })).toMatchObject({ willInit: false });
  });

  it('have the key of their block', async () => {
    const test = await makeTestTimeline({ relations: [[TABLE, 1]] });
    const blocks = [
      { tag: TABLE, blockNumber: 0, image: { bytes: new Uint8Array(8192), info: IMAGE.apply } },
    ];
    await test.take(makeRecord({ resourceManager: RESOURCE_MANAGER.xlog, info: 0xb0, blocks }));
    expect(test.timeline.writes.at(-1)).toMatchObject({ key: relBlockKey(TABLE, 0), lsn: FIRST_END });
  });
});
