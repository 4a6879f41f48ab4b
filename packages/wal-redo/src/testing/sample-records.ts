/** Small records made by hand, for tests that need no server. */
import { encodeWalRecord, lsn, RESOURCE_MANAGER, type RelTag } from '@neon-snapshot/postgres';

export const SAMPLE_TAG: RelTag = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 };
export const SAMPLE_BLOCK = 7;

export interface SampleRecordOptions {
  readonly resourceManager?: number;
  readonly info: number;
  readonly willInit?: boolean;
  readonly main: readonly number[];
  readonly data?: readonly number[];
  readonly blockNumber?: number;
  readonly xid?: number;
}

/** A record with one block reference, to {@link SAMPLE_TAG}. */
export function sampleRecord(options: SampleRecordOptions): Uint8Array {
  const { resourceManager = RESOURCE_MANAGER.heap, info, main, data = [], xid = 700 } = options;
  const flags = (options.willInit ? 0x40 : 0) | (data.length > 0 ? 0x20 : 0);
  const { spcNode, dbNode, relNode } = SAMPLE_TAG;
  const block = [0, flags, ...u16(data.length), ...u32(spcNode), ...u32(dbNode), ...u32(relNode)];
  const content = [...block, ...u32(options.blockNumber ?? SAMPLE_BLOCK), 255, main.length, ...data, ...main];
  return encodeWalRecord({ xid, previous: lsn(0x28n), info, resourceManager }, Uint8Array.from(content));
}

/** Heap INSERT+INIT of a tuple with five bytes of data at offset 1. */
export function sampleInsert(): Uint8Array {
  return sampleRecord({
    info: 0x80,
    willInit: true,
    main: [...u16(1), 0],
    data: [...u16(1), ...u16(0x0902), 24, 0, 1, 2, 3, 4, 5],
  });
}

/** Heap LOCK of that tuple, key-share by one transaction. */
export function sampleLock(): Uint8Array {
  return sampleRecord({ info: 0x60, main: [...u32(701), ...u16(1), 0x0a, 0], xid: 701 });
}

const u16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];
