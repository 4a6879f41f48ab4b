import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn } from './lsn.ts';
import { expectFormatError } from './testing/expect-format-error.ts';
import { FIXTURES } from './testing/fixtures.ts';
import { decodeTimelineHistory, encodeTimelineHistory, timelineHistoryFileName } from './timeline-history.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('timeline history', () => {
  it.each(FIXTURES)(
    'of major $major gives the same bytes when decoded and encoded',
    ({ timelineHistory }) => {
      for (const [name, text] of Object.entries(timelineHistory)) {
        const entries = decodeTimelineHistory(encode(text));
        expect(timelineHistoryFileName(entries.length + 1)).toBe(name);
        expect(entries.map(({ timeLineId }) => timeLineId)).toEqual(entries.map((_, index) => index + 1));
        expect(new TextDecoder().decode(encodeTimelineHistory(entries))).toBe(text);
      }
    },
  );

  it('survives encoding and decoding', () => {
    const entry = fc.record({
      timeLineId: fc.integer({ min: 1, max: 0xffff_ffff }),
      switchLsn: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(lsn),
      reason: fc.string().map((text) => text.replace(/[\s#]+/g, '')),
    });
    const entries = fc
      .uniqueArray(entry, { selector: ({ timeLineId }) => timeLineId })
      .map((list) => list.sort((a, b) => a.timeLineId - b.timeLineId));
    fc.assert(
      fc.property(entries, (value) => {
        expect(decodeTimelineHistory(encodeTimelineHistory(value))).toEqual(value);
      }),
    );
  });

  it('ignores blank lines and comments', () => {
    expect(decodeTimelineHistory(encode('# a\n\n  \n1 0/3000000 why\n'))).toEqual([
      { timeLineId: 1, switchLsn: 0x3000000n, reason: 'why' },
    ]);
  });

  it.each([
    'x\t0/1\ta\n',
    '1\n',
    '1\t0-1\ta\n',
    '0\t0/1\ta\n',
    '2\t0/1\ta\n1\t0/2\tb\n',
    '4294967296\t0/1\ta\n',
  ])('with the text %j is refused', (text) => {
    expectFormatError(() => decodeTimelineHistory(encode(text)), 'POSTGRES_INVALID');
  });
});
