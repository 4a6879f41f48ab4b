import { encodeCheckPoint, RESOURCE_MANAGER, ZERO_LSN } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { joined, makeRecord, u32, zeros } from '../testing/record-builder.ts';
import {
  CHECK_POINT,
  FIRST_END,
  makeTestTimeline,
  type TestTimelineOptions,
} from '../testing/test-timeline.ts';

const { xlog: resourceManager } = RESOURCE_MANAGER;

function checkpoint(info: number, major: number, fields: Partial<typeof CHECK_POINT> = {}): Uint8Array {
  const seen = { ...CHECK_POINT, redo: FIRST_END, nextXid: 99n, nextOid: 1, nextMulti: 77, ...fields };
  return makeRecord({ resourceManager, info, main: encodeCheckPoint(seen, major) });
}

async function changed(record: Uint8Array, options: TestTimelineOptions = {}): Promise<unknown> {
  return (await makeTestTimeline(options)).takeCheckpoint(record);
}

describe('XLOG records', () => {
  it('take over the next OID, written only where it is new', async () => {
    const test = await makeTestTimeline();
    const record = makeRecord({ resourceManager, info: 0x30, main: u32(24_576) });
    expect(await test.takeCheckpoint(record)).toEqual({ nextOid: 24_576 });
    expect(await test.takeCheckpoint(record)).toBe(undefined);
  });

  it('of an online checkpoint take over the oldest ids; redo becomes 0', async () => {
    const fields = { oldestActiveXid: 1234, oldestXid: 800 };
    const options = { checkPoint: { redo: FIRST_END } };
    expect(await changed(checkpoint(0x10, 16, fields), options)).toEqual({ ...fields, redo: ZERO_LSN });
    expect(await changed(checkpoint(0x10, 16, { oldestXid: 700 }))).toEqual({});
  });

  it('of a shutdown checkpoint set redo to the end of the record', async () => {
    expect(await changed(checkpoint(0x00, 16))).toEqual({ redo: FIRST_END, oldestActiveXid: 2048 });
  });

  it('of a shutdown checkpoint find the oldest prepared transaction', async () => {
    expect(await changed(checkpoint(0x00, 16), { prepared: [1900n, 1800n] })).toMatchObject({
      oldestActiveXid: 1800,
    });
    const wrapped = { checkPoint: { nextXid: (1n << 32n) + 1024n }, prepared: [500n, 0xffff_ff00n] };
    expect(await changed(checkpoint(0x00, 16), wrapped)).toMatchObject({ oldestActiveXid: 0xffff_ff00 });
    const full = { ...wrapped, major: 17, prepared: [(1n << 32n) + 500n, 0xffff_ff01n] };
    expect(await changed(checkpoint(0x00, 17), full)).toMatchObject({ oldestActiveXid: 0xffff_ff01 });
  });

  it('of 17 take over the WAL level from parameter changes and ends of recovery', async () => {
    const parameters = makeRecord({ resourceManager, info: 0x60, main: joined(zeros(20), u32(2), zeros(4)) });
    const recovery = makeRecord({ resourceManager, info: 0x90, main: joined(zeros(16), u32(2)) });
    for (const record of [parameters, recovery]) {
      expect(await changed(record, { major: 17 })).toEqual({ walLevel: 2 });
      expect(await changed(record, { major: 16 })).toBe(undefined);
    }
  });

  it('that are cut short are refused', async () => {
    const refusal = { code: 'INGEST_INVALID_RECORD' };
    const short = makeRecord({ resourceManager, info: 0x00, main: zeros(87) });
    await expect(changed(short)).rejects.toMatchObject(refusal);
    const parameters = makeRecord({ resourceManager, info: 0x60, main: zeros(23) });
    await expect(changed(parameters, { major: 17 })).rejects.toMatchObject(refusal);
  });

  it.each([0x20, 0x40, 0x50, 0x70, 0x80, 0xd0, 0xe0])('of info %i change nothing', async (info) => {
    const test = await makeTestTimeline();
    expect(await test.takeCheckpoint(makeRecord({ resourceManager, info, main: zeros(8) }))).toBe(undefined);
  });
});
