import { describe, expect, it } from 'vitest';
import { lsn, parseLsn, ZERO_LSN } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { FIXTURES } from './testing/fixtures.ts';
import {
  decodeWalPageHeader,
  encodeWalPageHeader,
  WAL_PAGE_SIZE,
  walPageMagic,
  walRecordStart,
} from './wal-page.ts';
import { readWalRecords } from './wal-reader.ts';
import { encodeWalRecord } from './wal-record-header.ts';
import { RESOURCE_MANAGER, XLOG_INFO } from './wal-resource-manager.ts';

const MIB = 1024 * 1024;

describe('WAL page header', () => {
  it.each(FIXTURES)('of major $major gives the same bytes when decoded and encoded', ({ major, wal }) => {
    for (const { bytes } of wal.segments) {
      for (const offset of [0, WAL_PAGE_SIZE]) {
        const header = decodeWalPageHeader(bytes, offset);
        expect(header.magic).toBe(walPageMagic(major));
        const size = offset === 0 ? 40 : 24;
        const encoded = new Uint8Array(size);
        encodeWalPageHeader(header, encoded);
        expect(encoded).toEqual(bytes.slice(offset, offset + size));
      }
    }
  });

  it('is refused when cut at any byte', () => {
    const [segment] = FIXTURES[0]?.wal.segments ?? [];
    for (let size = 0; size < 40; size++) {
      if (size >= 20 && size < 24) continue;
      expectFormatError(
        () => decodeWalPageHeader((segment?.bytes ?? new Uint8Array()).subarray(0, size)),
        'POSTGRES_TRUNCATED',
      );
    }
  });

  it.each([
    ['0/0', '0/28'],
    ['0/1', '0/28'],
    ['0/27', '0/28'],
    ['0/29', '0/30'],
    ['0/2000', '0/2018'],
    ['0/1FF9', '0/2018'],
    ['0/FFFFF', '0/100028'],
  ])('leaves %s to be written at %s', (position, start) => {
    expect(walRecordStart(parseLsn(position), MIB)).toBe(parseLsn(start));
  });
});

describe('a record that the server gave up', () => {
  it('is passed over where the page after it says so', () => {
    const header = { xid: 0, info: XLOG_INFO.noop, resourceManager: RESOURCE_MANAGER.xlog };
    const first = encodeWalRecord({ ...header, previous: ZERO_LSN }, mainData(8000));
    const lost = encodeWalRecord({ ...header, previous: lsn(40n) }, mainData(500));
    const after = encodeWalRecord(
      { ...header, previous: lsn(40n), info: XLOG_INFO.overwriteContinuation },
      mainData(12),
    );
    const bytes = new Uint8Array(2 * WAL_PAGE_SIZE);
    const common = { magic: walPageMagic(17), timeLineId: 1, remainingLength: 0 };
    const segment = { systemIdentifier: 1n, segmentSize: MIB, blockSize: WAL_PAGE_SIZE };
    encodeWalPageHeader({ ...common, flags: 2, pageAddress: ZERO_LSN, segment }, bytes);
    bytes.set(first, 40);
    bytes.set(lost.subarray(0, WAL_PAGE_SIZE - 40 - first.length), 40 + first.length);
    encodeWalPageHeader({ ...common, flags: 8, pageAddress: lsn(8192n) }, bytes, WAL_PAGE_SIZE);
    bytes.set(after, WAL_PAGE_SIZE + 24);
    const source = {
      major: 17,
      segmentSize: MIB,
      segment: (segno: number) => (segno === 0 ? bytes : undefined),
    };
    const starts = [...readWalRecords({ ...source, start: ZERO_LSN })].map(({ start }) => start);
    expect(starts).toEqual([40n, 8216n]);
  });
});

/** `length` bytes of record content, a multiple of 8 with the record header: one main data item. */
function mainData(length: number): Uint8Array {
  const content = new Uint8Array(length);
  content[0] = 254;
  new DataView(content.buffer).setUint32(1, length - 5, true);
  return content;
}
