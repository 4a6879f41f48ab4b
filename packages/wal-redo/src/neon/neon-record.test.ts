import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { Bytes, newBytes, u32 } from '../bytes.ts';
import { initPage } from '../page/header.ts';
import { isRedoError } from '../redo-error.ts';
import { applyNeonRecord, type NeonPageRecord } from './neon-record.ts';

const LSN = lsn(0x2_0000_0010n);

function apply(value: Uint8Array, record: NeonPageRecord): Uint8Array {
  return applyNeonRecord(value, record, LSN);
}

function fullMap(): Uint8Array {
  const page = newBytes(8192);
  initPage(page, 0);
  return page.array.fill(0xff, 24);
}

describe("Neon's records of the visibility map", () => {
  it('clear the bits of the old and the new heap block and stamp the page', () => {
    const page = apply(fullMap(), {
      kind: 'clear-visibility-map-flags',
      newHeapBlock: 32672 + 5,
      oldHeapBlock: 2,
      flags: 3,
    });
    expect([page[24], page[25], page[26]]).toEqual([0xcf, 0xf3, 0xff]);
    expect([u32(new Bytes(page), 0), u32(new Bytes(page), 4)]).toEqual([2, 0x10]);
  });

  it('leave a new page new', () => {
    const page = apply(new Uint8Array(8192), {
      kind: 'clear-visibility-map-flags',
      newHeapBlock: 1,
      oldHeapBlock: undefined,
      flags: 2,
    });
    expect(page).toEqual(new Uint8Array(8192));
  });

  it('cut the map behind a heap block', () => {
    const page = apply(fullMap(), { kind: 'truncate-visibility-map', byte: 3n, bitOffset: 4n });
    expect([...page.subarray(24, 30)]).toEqual([0xff, 0xff, 0xff, 0x0f, 0, 0]);
    expect(u32(new Bytes(page), 0)).toBe(0);
    const record = { kind: 'truncate-visibility-map', byte: 8168n, bitOffset: 0n } as const;
    expect(() => apply(fullMap(), record)).toThrow(expect.objectContaining({ code: 'REDO_INVALID_RECORD' }));
  });
});

describe("Neon's records of the commit log", () => {
  it('set two bits for each xid; a commit puts its time behind the page', () => {
    const aborted = apply(new Uint8Array(8192), { kind: 'clog-set-aborted', xids: [32768 + 1, 6] });
    expect([aborted.length, aborted[0], aborted[1]]).toEqual([8192, 0x08, 0x20]);
    const committed = apply(aborted, {
      kind: 'clog-set-committed',
      xids: [1],
      timestamp: 0x0102030405060708n,
    });
    expect([committed.length, committed[0], committed[1]]).toEqual([8200, 0x04, 0x20]);
    expect([...committed.subarray(8192)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(apply(committed, { kind: 'clog-set-aborted', xids: [1] })).toHaveLength(8200);
  });

  it('refuse values that are no pages', () => {
    const record = { kind: 'clog-set-aborted', xids: [1] } as const;
    expect(() => apply(new Uint8Array(100), record)).toThrow(
      expect.objectContaining({ code: 'REDO_INVALID_PAGE' }),
    );
  });
});

describe("Neon's records of multixacts", () => {
  it('write an offset', () => {
    const page = apply(new Uint8Array(8192), {
      kind: 'multixact-offset-create',
      mid: 2048 + 3,
      moff: 0x01020304,
    });
    expect(u32(new Bytes(page), 12)).toBe(0x01020304);
  });

  it('write members: flags in the group of four, xids behind them', () => {
    const members = [{ xid: 777, status: 5 }];
    const page = apply(new Uint8Array(8192), { kind: 'multixact-members-create', moff: 123456789, members });
    expect(page[4781]).toBe(5);
    expect(u32(new Bytes(page), 4788)).toBe(777);
  });

  it('refuse values that are no pages', () => {
    const record = { kind: 'multixact-offset-create', mid: 1, moff: 1 } as const;
    let thrown: unknown;
    try {
      apply(new Uint8Array(8200), record);
    } catch (error) {
      thrown = error;
    }
    expect(isRedoError(thrown, 'REDO_INVALID_PAGE')).toBe(true);
  });
});

describe('an obsolete aux file record', () => {
  it('changes nothing', () => {
    const page = new Uint8Array(8192);
    page[100] = 7;
    expect(apply(page.slice(), { kind: 'aux-file' })).toEqual(page);
  });
});
