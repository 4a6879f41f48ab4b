import { RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { makeRecord, u32 } from '../testing/record-builder.ts';
import { FREE_SPACE_MAP, makeTestTimeline, TABLE, VISIBILITY_MAP } from '../testing/test-timeline.ts';

const SIZE = 'the size of relation 1663/5/16384 fork';
const BLOCK = 'of relation 1663/5/16384 fork';

function create(forkNum: number, spcNode = 1663, dbNode = 5): Uint8Array {
  const main = u32(spcNode, dbNode, 16_384, forkNum);
  return makeRecord({ resourceManager: RESOURCE_MANAGER.storage, info: 0x10, main });
}

function truncate(blockCount: number, flags = 7): Uint8Array {
  const main = u32(blockCount, 1663, 5, 16_384, flags);
  return makeRecord({ resourceManager: RESOURCE_MANAGER.storage, info: 0x20, main });
}

describe('SMGR records', () => {
  it('create makes an empty relation fork', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(create(3))).toEqual([
      ['the relation directory of database 1663/5', ['16384 3']],
      [`${SIZE} 3`, 0],
    ]);
  });

  it('create leaves a relation alone that is there', async () => {
    const test = await makeTestTimeline({ relations: [[TABLE, 7]] });
    expect(await test.take(create(0))).toEqual([]);
  });

  it('create makes the directory of a database that was not seen yet', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(create(0, 1663, 16_500))).toEqual([
      ['the directory of databases', ['1663/5 map', '1663/16500']],
      ['the relation directory of database 1663/16500', ['16384 0']],
      ['the size of relation 1663/16500/16384 fork 0', 0],
    ]);
  });

  it('create refuses an unknown fork and a tablespace that keys cannot hold', async () => {
    await expect((await makeTestTimeline()).take(create(4))).rejects.toMatchObject({
      code: 'INGEST_INVALID_RECORD',
    });
    const far = (await makeTestTimeline()).take(create(0, 65_536));
    await expect(far).rejects.toMatchObject({ code: 'INGEST_UNSUPPORTED' });
  });

  it('truncate shortens all forks and clears the rest of the last pages of both maps', async () => {
    const relations = [
      [TABLE, 40_000],
      [FREE_SPACE_MAP, 13],
      [VISIBILITY_MAP, 2],
    ] as const;
    const test = await makeTestTimeline({ relations });
    // 4069 × 2 + 5 blocks: slots of the third leaf of the free space map, which is physical page 4.
    expect(await test.take(truncate(8143))).toEqual([
      [`${SIZE} 0`, 8143],
      [`block 4 ${BLOCK} 1`, '8192 zeros'],
      [`${SIZE} 1`, 5],
      [`block 0 ${BLOCK} 2`, { kind: 'truncate-visibility-map', byte: 2035n, bitOffset: 6n }],
      [`${SIZE} 2`, 1],
    ]);
  });

  it('truncate to whole pages of the maps clears nothing', async () => {
    const relations = [
      [TABLE, 40_000],
      [FREE_SPACE_MAP, 13],
      [VISIBILITY_MAP, 2],
    ] as const;
    const test = await makeTestTimeline({ relations });
    expect(await test.take(truncate(0))).toEqual([
      [`${SIZE} 0`, 0],
      [`${SIZE} 1`, 2],
      [`${SIZE} 2`, 0],
    ]);
    const map = await makeTestTimeline({ relations });
    expect(await map.take(truncate(32_672, 2))).toEqual([[`${SIZE} 2`, 1]]);
  });

  it('truncate finds leaves of the free space map behind the second inner page', async () => {
    const test = await makeTestTimeline({ relations: [[FREE_SPACE_MAP, 10_000]] });
    // Leaf 4069 is the first below the second page of level 1.
    expect(await test.take(truncate(4069 * 4069, 4))).toEqual([[`${SIZE} 1`, 4069 + 3]]);
  });

  it('truncate stores changes of maps that are not there, as a page server does, but no sizes', async () => {
    const test = await makeTestTimeline();
    expect(await test.take(truncate(1))).toEqual([
      [`block 2 ${BLOCK} 1`, '8192 zeros'],
      [`block 0 ${BLOCK} 2`, { kind: 'truncate-visibility-map', byte: 0n, bitOffset: 2n }],
    ]);
  });
});
