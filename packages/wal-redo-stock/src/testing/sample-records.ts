/** Small heap records made by hand. */
import { encodeWalRecord, lsn, RESOURCE_MANAGER, type RelTag } from '@neon-snapshot/postgres';

export const SAMPLE_TAG: RelTag = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 };
export const MAP_TAG: RelTag = { ...SAMPLE_TAG, forkNum: 2 };

export interface SampleOptions {
  readonly blockNumber: number;
  readonly resourceManager?: number;
  readonly forkNum?: number;
  /** At which line pointer; redo refuses one that leaves a gap. */
  readonly offset?: number;
  /** The record makes the page. */
  readonly inits?: boolean;
  readonly clearsVisibility?: boolean;
}

/** Heap INSERT of a tuple with five bytes of data. */
export function sampleInsert(options: SampleOptions): Uint8Array {
  const { resourceManager = RESOURCE_MANAGER.heap, forkNum = 0, offset = 1, inits = true } = options;
  const data = [...u16(1), ...u16(0x0902), 24, 0, 1, 2, 3, 4, 5];
  const main = [...u16(offset), options.clearsVisibility ? 1 : 0];
  const { spcNode, dbNode, relNode } = SAMPLE_TAG;
  const flags = forkNum | 0x20 | (inits ? 0x40 : 0);
  const block = [0, flags, ...u16(data.length), ...u32(spcNode), ...u32(dbNode), ...u32(relNode)];
  const content = [...block, ...u32(options.blockNumber), 255, main.length, ...data, ...main];
  const header = { xid: 700, previous: lsn(0x28n), info: inits ? 0x80 : 0x00, resourceManager };
  return encodeWalRecord(header, Uint8Array.from(content));
}

const u16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];
