import { keyToHex, type RedoRequest, relBlockKey, type Value } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { MemoryTimeline } from './memory-timeline.ts';
import { TABLE } from './testing/test-timeline.ts';
import type { TimelineState } from './timeline-state.ts';

const at = (value: number): Lsn => lsn(BigInt(value));
const image = (byte: number): Value => ({ kind: 'image', image: Uint8Array.of(byte) });
const change = (willInit: boolean): Value => ({
  kind: 'record',
  record: { kind: 'postgres', willInit, record: Uint8Array.of(9) },
});
const keyOf = (block: number): Uint8Array => relBlockKey(TABLE, block);

/** Block 7 holds 70 in what lies below. */
const BASE: TimelineState = {
  get: async (key) => (keyToHex(key) === keyToHex(keyOf(7)) ? Uint8Array.of(70) : undefined),
  getMany: (keys) => Promise.all(keys.map((key) => BASE.get(key))),
};

function timelineWith(values: readonly Value[], requests: RedoRequest[] = []): MemoryTimeline {
  const redo = async (request: RedoRequest): Promise<Uint8Array> => {
    requests.push(request);
    return Uint8Array.of(200);
  };
  const timeline = new MemoryTimeline({ base: BASE, redo });
  timeline.apply(values.map((value, i) => ({ key: keyOf(7), lsn: at(8 * (i + 1)), value })));
  return timeline;
}

describe('MemoryTimeline', () => {
  it('answers with the newest own write, else from what lies below', async () => {
    const timeline = timelineWith([image(1), image(2)]);
    expect(await timeline.get(keyOf(7))).toEqual(Uint8Array.of(2));
    expect(await new MemoryTimeline({ base: BASE }).get(keyOf(7))).toEqual(Uint8Array.of(70));
    expect(await new MemoryTimeline().get(keyOf(7))).toBe(undefined);
  });

  it('answers for many keys in their order', async () => {
    const timeline = new MemoryTimeline({ base: BASE });
    timeline.apply([{ key: keyOf(5), lsn: at(8), value: image(5) }]);
    expect(await timeline.getMany([keyOf(4), keyOf(5), keyOf(7)])).toEqual([
      undefined,
      Uint8Array.of(5),
      Uint8Array.of(70),
    ]);
  });

  it.each([
    ['the page below', [change(false), change(false)], Uint8Array.of(70), 2],
    ['the newest own image', [image(1), change(false)], Uint8Array.of(1), 1],
    ['nothing, where a record makes the page', [image(1), change(true), change(false)], undefined, 2],
  ])('redoes records onto %s', async (_, values, base, recordCount) => {
    const requests: RedoRequest[] = [];
    expect(await timelineWith(values, requests).get(keyOf(7))).toEqual(Uint8Array.of(200));
    expect(requests).toMatchObject([{ base, lsn: at(8 * values.length) }]);
    expect(requests[0]?.records.length).toBe(recordCount);
  });

  it('says that it needs redo where none was given', async () => {
    const timeline = new MemoryTimeline({ base: BASE });
    timeline.apply([{ key: keyOf(7), lsn: at(8), value: change(false) }]);
    await expect(timeline.get(keyOf(7))).rejects.toMatchObject({ code: 'INGEST_NEEDS_REDO' });
  });
});
