import { describe, expect, test } from 'vitest';
import {
  decodeClaim,
  decodeJournal,
  encodeClaim,
  encodeJournal,
  type ImportJournal,
  isSameSource,
} from './import-journal.ts';

const JOURNAL: ImportJournal = {
  tenantId: 'a'.repeat(32),
  timelineId: 'b'.repeat(32),
  source: {
    systemIdentifier: '7700000000000000001',
    lsn: '0/15000078',
    dataChecksums: true,
    filesSha256: 'c'.repeat(64),
  },
  layout: { partitionCountMax: 2, layerBytesMax: 16 * 1024 * 1024 },
};

describe('the journal of an import', () => {
  test('is read as it was written', () => {
    expect(decodeJournal(encodeJournal(JOURNAL), 'key')).toEqual(JOURNAL);
    const { tenantId, timelineId } = JOURNAL;
    expect(decodeClaim(encodeClaim(JOURNAL))).toEqual({ tenantId, timelineId });
  });

  test('cut at any byte is refused', () => {
    const bytes = encodeJournal(JOURNAL);
    // Without the final newline it is still whole.
    for (let length = 0; length < bytes.length - 1; length += 1)
      expect(() => decodeJournal(bytes.subarray(0, length), 'key')).toThrow('no JSON');
  });

  test.each(Object.keys(JSON.parse(new TextDecoder().decode(encodeJournal(JOURNAL)))))(
    'with a wrong %s is refused',
    (name) => {
      const json = JSON.parse(new TextDecoder().decode(encodeJournal(JOURNAL)));
      const bytes = new TextEncoder().encode(JSON.stringify({ ...json, [name]: null }));
      expect(() => decodeJournal(bytes, 'key')).toThrow(
        expect.objectContaining({ code: 'FORMAT_INVALID', context: { key: 'key' } }),
      );
    },
  );

  test('of another cluster, another moment, other checksums or other files is another source', () => {
    const { source } = JOURNAL;
    expect(isSameSource(source, { ...source })).toBe(true);
    const others = [{ systemIdentifier: '1' }, { lsn: '0/1' }, { dataChecksums: false }, { filesSha256: '' }];
    for (const change of others) expect(isSameSource(source, { ...source, ...change })).toBe(false);
  });
});
