import { describe, expect, it } from 'vitest';
import { annotateControlFile } from './annotate-control-file.ts';
import { annotatePage } from './annotate-page.ts';
import { annotateWalSegment } from './annotate-wal.ts';
import { type Annotation, formatAnnotations } from './annotation.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';

describe('annotated pg_control', () => {
  it('is printed field by field', () => {
    const { stoppedControlFile } = fixtureOf(17);
    const lines = [...formatAnnotations(stoppedControlFile, annotateControlFile(stoppedControlFile))];
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "00000000  62605f9ffa4a056b                   systemIdentifier: 7711652377217949794
      00000008  a4060000                           controlVersion: 1700
      0000000c  8979100c                           catalogVersion: 202406281
      00000010  01000000                           state: 1 (shut down)
      00000018  fc4a056b00000000                   time: 1795508988 (2026-11-24T08:29:48.000Z)
      00000020  2800b00000000000                   checkPoint: 0/B00028
      00000028  2800b00000000000                   checkPointCopy.redo: 0/B00028
      00000030  01000000                           checkPointCopy.thisTimeLineId: 1
      00000034  01000000                           checkPointCopy.prevTimeLineId: 1
      00000038  01                                 checkPointCopy.fullPageWrites: 1
      0000003c  01000000                           checkPointCopy.walLevel: 1 (replica)
      00000040  eb02000000000000                   checkPointCopy.nextXid: 0:747
      00000048  3b400000                           checkPointCopy.nextOid: 16443
      0000004c  01000000                           checkPointCopy.nextMulti: 1
      00000050  00000000                           checkPointCopy.nextMultiOffset: 0
      00000054  da020000                           checkPointCopy.oldestXid: 730
      00000058  01000000                           checkPointCopy.oldestXidDb: 1
      0000005c  01000000                           checkPointCopy.oldestMulti: 1
      00000060  01000000                           checkPointCopy.oldestMultiDb: 1
      00000068  fc4a056b00000000                   checkPointCopy.time: 1795508988 (2026-11-24T08:29:48.000Z)
      00000070  e2020000                           checkPointCopy.oldestCommitTsXid: 738
      00000074  ea020000                           checkPointCopy.newestCommitTsXid: 746
      00000078  00000000                           checkPointCopy.oldestActiveXid: 0
      00000080  e803000000000000                   unloggedLsn: 0/3E8
      00000088  0000000000000000                   minRecoveryPoint: 0/0
      00000090  00000000                           minRecoveryPointTimeLineId: 0
      00000098  0000000000000000                   backupStartPoint: 0/0
      000000a0  0000000000000000                   backupEndPoint: 0/0
      000000a8  00                                 backupEndRequired: 0
      000000ac  01000000                           walLevel: 1 (replica)
      000000b0  00                                 walLogHints: 0
      000000b4  0c000000                           maxConnections: 12
      000000b8  08000000                           maxWorkerProcesses: 8
      000000bc  03000000                           maxWalSenders: 3
      000000c0  02000000                           maxPreparedXacts: 2
      000000c4  40000000                           maxLocksPerXact: 64
      000000c8  01                                 trackCommitTimestamp: 1
      000000cc  08000000                           maxAlign: 8
      000000d0  0000000087d63241                   floatFormat: 1234567
      000000d8  00200000                           blockSizeBytes: 8192
      000000dc  00000200                           relationSegmentBlocks: 131072
      000000e0  00200000                           walBlockSizeBytes: 8192
      000000e4  00001000                           walSegmentSizeBytes: 1048576
      000000e8  40000000                           nameDataLen: 64
      000000ec  20000000                           indexMaxKeys: 32
      000000f0  cc070000                           toastMaxChunkSize: 1996
      000000f4  00080000                           largeObjectBlockSize: 2048
      000000f8  01                                 float8ByVal: 1
      000000fc  01000000                           dataChecksumVersion: 1
      00000100  b142098d8d98a0abd857c6b6176f9230…  mockAuthenticationNonce: b142098d8d98a0abd857c6b6176f9230a7d5e807c42592aa9e1c6e807cfe0288
      00000120  c5f2ce65                           crc: 0x65CEF2C5 (right)"
    `);
  });

  it.each(FIXTURES)(
    'of major $major covers every field once, in order, up to the CRC',
    ({ major, controlFile }) => {
      const fields = annotateControlFile(controlFile);
      expect(fields).toHaveLength({ 14: 50, 15: 50, 16: 50, 17: 51, 18: 52 }[major] ?? 0);
      expect(overlaps(fields)).toEqual([]);
      expect(fields.at(-1)).toMatchObject({ name: 'crc', value: expect.stringMatching(/\(right\)$/) });
    },
  );

  it('says that a CRC is wrong, that a bool is odd, and that a version is unknown', () => {
    const { controlFile } = fixtureOf(17);
    const odd = controlFile.slice();
    odd[168] = 7;
    const fields = new Map(annotateControlFile(odd).map(({ name, value }) => [name, value]));
    expect(fields.get('backupEndRequired')).toBe('7');
    expect(fields.get('crc')).toMatch(/wrong: computed 0x/);
    expect(annotateControlFile(withFlippedBit(controlFile, 64)).at(-1)?.value).toMatch(/not supported/);
  });

  it('of a cut file shows what is there', () => {
    const { controlFile } = fixtureOf(18);
    for (let size = 0; size <= 300; size++) {
      const fields = annotateControlFile(controlFile.subarray(0, size));
      expect(fields.every(({ offset, length }) => offset + length <= size)).toBe(true);
    }
  });
});

describe('annotated page', () => {
  const [{ bytes, block } = { bytes: new Uint8Array(), block: 0 }] = fixtureOf(16).pages;

  it('shows header, checksum and line pointers at their offsets in the file', () => {
    const fields = annotatePage(bytes, { blockNumber: block, baseOffset: 8192 });
    expect(fields[0]).toMatchObject({ offset: 8192, length: 8, name: 'lsn' });
    expect(fields[1]?.value).toMatch(/\(right\)$/);
    expect(fields.find(({ name }) => name === 'linePointer[50]')).toMatchObject({
      offset: 8192 + 24 + 49 * 4,
      value: expect.stringMatching(/^normal, offset \d+, length \d+$/),
    });
    expect(overlaps(fields)).toEqual([]);
  });

  it('says what is wrong with a page', () => {
    const damaged = withFlippedBit(bytes, 10 * 8 + 6);
    const fields = annotatePage(damaged, { blockNumber: block });
    expect(fields.find(({ name }) => name === 'fault')?.value).toMatch(/pd_flags/);
    expect(fields.find(({ name }) => name === 'checksum')?.value).toMatch(/block 0 would have \d+/);
    expect(annotatePage(new Uint8Array(8192), { blockNumber: 0 }).map(({ value }) => value)).toContain(
      '0 (new page)',
    );
    expectFormatError(() => annotatePage(bytes.subarray(1)), 'POSTGRES_TRUNCATED');
  });
});

describe('annotated WAL segment', () => {
  it.each(FIXTURES)('of major $major shows page headers and records without overlap', ({ wal }) => {
    const [segment] = wal.segments;
    const fields = [...annotateWalSegment(segment?.bytes ?? new Uint8Array())];
    expect(fields.filter(({ name }) => name.endsWith(' pageAddress')).length).toBeGreaterThan(2);
    expect(fields.filter(({ name }) => name.endsWith(' content')).length).toBeGreaterThan(10);
    expect(fields.at(-1)).toMatchObject({ name: 'end of WAL', value: expect.stringContaining('no-segment') });
  });

  it('names resource managers, blocks and images', () => {
    const [segment] = fixtureOf(17).wal.segments;
    const bytes = segment?.bytes ?? new Uint8Array();
    const text = [...formatAnnotations(bytes, annotateWalSegment(bytes))].slice(0, 40).join('\n');
    expect(text).toMatch(/flags: 0x0006 \(longHeader, backupRemovable\)/);
    expect(text).toMatch(/resourceManager: 10 \(Heap\)/);
    expect(text).toMatch(/block 0: 1663\/5\/\d+ fork 0 block \d+, image \d+ bytes; main data 3 bytes/);
  });

  it('ends with the reason where it is damaged', () => {
    const [segment] = fixtureOf(17).wal.segments;
    const damaged = withFlippedBit(segment?.bytes ?? new Uint8Array(), (8192 + 9) * 8);
    expect([...annotateWalSegment(damaged)].at(-1)).toMatchObject({ name: 'error' });
  });

  it('of any first page header is explained or refused, with nothing else thrown', () => {
    const [segment] = fixtureOf(17).wal.segments;
    const bytes = (segment?.bytes ?? new Uint8Array()).slice(0, 4 * 8192);
    for (const value of [0, 1, 0x7f, 0xff]) {
      for (let offset = 2; offset < 40; offset++) {
        const hostile = bytes.slice().fill(value, offset, Math.min(offset + 8, 40));
        try {
          expect([...annotateWalSegment(hostile)].length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PostgresFormatError' });
        }
      }
    }
  });

  it('of something else is refused', () => {
    expectFormatError(() => [...annotateWalSegment(new Uint8Array(8192))], 'POSTGRES_INVALID');
    expectFormatError(() => [...annotateWalSegment(new Uint8Array(100))], 'POSTGRES_TRUNCATED');
  });
});

/** Names of fields that begin before the one before them has ended. */
function overlaps(fields: readonly Annotation[]): string[] {
  return fields.flatMap((field, index) => {
    const before = fields[index - 1];
    return before !== undefined && before.offset + before.length > field.offset ? [field.name] : [];
  });
}
