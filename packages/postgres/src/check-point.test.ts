import { describe, expect, it } from 'vitest';
import { CHECK_POINT_SIZE, decodeCheckPoint, encodeCheckPoint } from './check-point.ts';
import { expectFormatError } from './testing/expect-format-error.ts';

/** Neon's checkpoint value of a real Postgres 15 initdb (page server storage format, checkpoint key). */
const INITDB_15 = Buffer.from(
  '90eb4a0100000000010000000100000001' +
    '00000000000000d402000000000000803200000100000000000000cc0200000100000001000000010000000' +
    '0000000610b666500000000000000000000000000000000' +
    '00000000',
  'hex',
);

describe('CheckPoint', () => {
  it('of a real initdb has its values', () => {
    expect(INITDB_15).toHaveLength(CHECK_POINT_SIZE);
    expect(decodeCheckPoint(INITDB_15, 15)).toMatchObject({
      redo: 0x14aeb90n,
      thisTimeLineId: 1,
      fullPageWrites: true,
      nextXid: 724n,
      nextOid: 12928,
      oldestXid: 716,
    });
  });

  it('gives the same bytes when decoded and encoded', () => {
    expect(Buffer.from(encodeCheckPoint(decodeCheckPoint(INITDB_15, 15), 15))).toEqual(INITDB_15);
  });

  it('is refused when cut at any byte', () => {
    for (let size = 0; size < CHECK_POINT_SIZE; size++) {
      expectFormatError(() => decodeCheckPoint(INITDB_15.subarray(0, size), 17), 'POSTGRES_TRUNCATED');
    }
  });

  it('is refused when full_page_writes is neither 0 nor 1', () => {
    const bytes = new Uint8Array(INITDB_15);
    bytes[16] = 2;
    expectFormatError(() => decodeCheckPoint(bytes, 15), 'POSTGRES_INVALID');
  });

  it('of an unknown major is refused', () => {
    expectFormatError(() => decodeCheckPoint(INITDB_15, 13), 'POSTGRES_UNSUPPORTED_VERSION');
  });
});
