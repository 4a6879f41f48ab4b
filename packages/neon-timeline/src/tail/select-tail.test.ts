import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { selectTail } from './select-tail.ts';
import { parseTailChunk, type TailChunk, tailChunk } from './tail-chunk.ts';

const PLACE = { tenantId: 'a'.repeat(32), timelineId: 'b'.repeat(32) };

function chunk(start: number, end: number, generation = 1): TailChunk {
  return tailChunk(PLACE, { start: lsn(BigInt(start)), sizeBytes: end - start, generation });
}

function layers(end: number, generation: number | undefined = 1, previous?: number) {
  return {
    diskConsistentLsn: lsn(BigInt(end)),
    generation,
    prevRecordLsn: previous === undefined ? undefined : lsn(BigInt(previous)),
  };
}

/** Start, end and chunks of what is selected, as numbers. */
function selected(chunks: readonly TailChunk[], end: ReturnType<typeof layers>) {
  const tail = selectTail(chunks, end);
  if (tail === undefined) return undefined;
  return [
    Number(tail.start),
    Number(tail.end),
    tail.chunks.map(({ start }) => Number(start)),
    tail.generation,
  ];
}

describe('the tail of a timeline', () => {
  it('is every chunk that goes on from the layers', () => {
    const chunks = [chunk(100, 200), chunk(200, 300), chunk(300, 310)];
    expect(selected(chunks, layers(100))).toEqual([100, 310, [100, 200, 300], 1]);
    expect(selected(chunks.toReversed(), layers(120))).toEqual([100, 310, [100, 200, 300], 1]);
    expect(selected(chunks, layers(200))).toEqual([200, 310, [200, 300], 1]);
  });

  it('goes back to the start of the last record in the layers', () => {
    const chunks = [chunk(50, 100), chunk(100, 200), chunk(200, 300)];
    expect(selected(chunks, layers(200, 1, 150))).toEqual([100, 300, [100, 200], 1]);
    expect(selected(chunks, layers(200, 1, 100))).toEqual([100, 300, [100, 200], 1]);
    expect(selected(chunks, layers(200, 1, 90))).toEqual([50, 300, [50, 100, 200], 1]);
    // Not that far: as far as there is something.
    expect(selected(chunks, layers(200, 1, 10))).toEqual([50, 300, [50, 100, 200], 1]);
  });

  it('proves the last record also where nothing follows it', () => {
    expect(selected([chunk(100, 200)], layers(200, 1, 150))).toEqual([100, 200, [100], 1]);
  });

  it('ends at a gap', () => {
    const chunks = [chunk(100, 200), chunk(201, 300), chunk(300, 400)];
    expect(selected(chunks, layers(100))).toEqual([100, 200, [100], 1]);
    expect(selectTail(chunks, layers(100))?.hasGap).toBe(true);
    expect(selected(chunks, layers(250))).toEqual([201, 400, [201, 300], 1]);
    expect(selectTail(chunks, layers(250))?.hasGap).toBe(false);
  });

  it('is none where the first chunk begins behind the layers, or all end before', () => {
    expect(selected([chunk(101, 200)], layers(100))).toBeUndefined();
    expect(selected([chunk(50, 99)], layers(100))).toBeUndefined();
    expect(selected([], layers(100))).toBeUndefined();
  });

  it('leaves out chunks that add nothing', () => {
    const chunks = [chunk(100, 150), chunk(100, 300), chunk(120, 200), chunk(250, 400), chunk(399, 400)];
    expect(selected(chunks, layers(100))).toEqual([100, 400, [100, 250], 1]);
  });

  it('counts the highest generation only, also where that reaches less far', () => {
    const chunks = [chunk(100, 200, 1), chunk(200, 900, 1), chunk(100, 200, 2), chunk(900, 950, 1)];
    expect(selected(chunks, layers(100))).toEqual([100, 200, [100], 2]);
  });

  it('is none where all chunks are of an earlier generation than the index', () => {
    const chunks = [chunk(100, 200, 1), chunk(200, 900, 3)];
    expect(selected(chunks, layers(100, 4))).toBeUndefined();
    expect(selected(chunks, layers(200, 3))).toEqual([200, 900, [200], 3]);
    expect(selected(chunks, layers(200, undefined))).toEqual([200, 900, [200], 3]);
  });

  it('does not fall back to an earlier generation where the highest does not reach the layers', () => {
    const chunks = [chunk(100, 200, 1), chunk(150, 200, 2)];
    expect(selected(chunks, layers(100, 1))).toBeUndefined();
  });
});

describe('the name of a chunk', () => {
  it('says what it holds', () => {
    const made = tailChunk(PLACE, { start: lsn(0x1_16b3_7480n), sizeBytes: 0x100, generation: 0x1f });
    expect(made.key).toBe(
      `neon-snapshot/${PLACE.tenantId}/wal/${PLACE.timelineId}/0000000116B37480-0000000116B37580-0000001f`,
    );
    expect(parseTailChunk(made.key, 0x100)).toEqual(made);
  });

  it.each([
    ['of another size', '0000000000000100-0000000000000200-00000001', 0xff],
    ['that ends before it begins', '0000000000000200-0000000000000100-00000001', 0x100],
    ['with small letters', '000000000000010a-0000000000000200-00000001', 0xf6],
    ['without a generation', '0000000000000100-0000000000000200', 0x100],
    ['with more behind it', '0000000000000100-0000000000000200-00000001.tmp', 0x100],
  ])('is not that of an object %s', (_, name, size) => {
    expect(parseTailChunk(`neon-snapshot/x/wal/y/${name}`, size)).toBeUndefined();
  });

  it.each([-1, 1.5, 2 ** 32])('takes no generation %d', (generation) => {
    expect(() => chunk(1, 2, generation)).toThrow();
  });
});
