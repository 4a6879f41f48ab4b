/**
 * Stock heap records rewritten as Neon's Postgres would write them (heapam_xlog.h of its 14 and 15, neon_xlog.h of its 16
 * and 17), with t_cid 0 and no combo bit, so that they redo to the same pages. Pad bytes hold garbage, as they do in life.
 */
import {
  decodeWalRecord,
  encodeWalRecord,
  RESOURCE_MANAGER,
  type WalBlockReference,
} from '@neon-snapshot/postgres';

const GARBAGE = 0xa5;
const NO_CID = [0, 0, 0, 0];
const COMBO_BIT = 0x20;
const NEON_RMGR = 134;
/** heap insert, delete, update, hot update, lock → those of Neon's resource manager. */
const NEON_INFO: Readonly<Record<number, number>> = { 0: 0, 16: 16, 32: 32, 64: 48, 96: 64 };

type Bytes = readonly number[];

/** The record in the form of the major's Neon; records of other kinds as they are. */
export function asNeonRecord(bytes: Uint8Array, major: number): Uint8Array {
  const record = decodeWalRecord(bytes, major);
  const { resourceManager, info } = record.header;
  const operation = info & 0x70;
  const isHeap = resourceManager === RESOURCE_MANAGER.heap && operation in NEON_INFO;
  const isMultiInsert = resourceManager === RESOURCE_MANAGER.heap2 && operation === 0x50;
  if (!isHeap && !isMultiInsert) return bytes;
  const usesRmgr = major >= 16;
  const main = [...record.mainData];
  const flags = main[7] ?? 0;
  const rewritten = isMultiInsert
    ? multiInsertMain(main, usesRmgr)
    : heapMain(operation, { main, usesRmgr, garbage: [GARBAGE, GARBAGE] });
  const blocks = record.blocks.map((block) => {
    const data = [...block.data];
    if (block.id !== 0 || data.length === 0) return { block, data };
    if (isMultiInsert) return { block, data: multiInsertTuples(data, usesRmgr) };
    const isUpdate = operation === 0x20 || operation === 0x40;
    const before = isUpdate ? ((flags & 0x20) !== 0 ? 2 : 0) + ((flags & 0x40) !== 0 ? 2 : 0) : 0;
    return { block, data: [...data.slice(0, before), ...tupleHeader(data.slice(before))] };
  });
  const header = !usesRmgr
    ? record.header
    : {
        ...record.header,
        resourceManager: NEON_RMGR,
        info: (info & ~0x70) | (isMultiInsert ? 0x50 : (NEON_INFO[operation] ?? 0)),
      };
  return encodeWalRecord(header, Uint8Array.from(content(blocks, rewritten, major)));
}

function heapMain(
  operation: number,
  of: { readonly main: Bytes; readonly usesRmgr: boolean; readonly garbage: Bytes },
): Bytes {
  const { main, usesRmgr, garbage } = of;
  const [head, bits, rest] = [main.slice(0, 6), main.slice(6, 8), main.slice(8)];
  switch (operation) {
    case 0x10: // delete: xmax, offnum, infobits, flags
      return usesRmgr
        ? [...head, ...bits, ...NO_CID, ...rest]
        : [...head, ...garbage, ...NO_CID, ...bits, ...rest];
    case 0x20:
    case 0x40: // update: …, t_cid before the new xmax
      return [...head, ...bits, ...NO_CID, ...rest];
    case 0x60: // lock
      return usesRmgr
        ? [...main.slice(0, 4), ...NO_CID, ...main.slice(4, 6), ...bits, ...rest]
        : [...head, ...garbage, ...NO_CID, ...bits, ...rest];
    default:
      return main;
  }
}

function multiInsertMain(main: Bytes, usesRmgr: boolean): Bytes {
  return usesRmgr ? [...main.slice(0, 4), ...NO_CID, ...main.slice(4)] : main;
}

/** infomask2, infomask, t_hoff → t_cid before t_hoff. */
function tupleHeader(data: Bytes): Bytes {
  return [data[0] ?? 0, data[1] ?? 0, (data[2] ?? 0) & ~COMBO_BIT, data[3] ?? 0, ...NO_CID, ...data.slice(4)];
}

/** length, infomask2, infomask, t_hoff, at even places → 14 and 15: pad, t_cid before t_hoff. */
function multiInsertTuples(data: Bytes, usesRmgr: boolean): Bytes {
  const tuples: number[] = [];
  for (let at = 0; at < data.length; ) {
    at += at & 1;
    if ((tuples.length & 1) !== 0) tuples.push(GARBAGE);
    const length = (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8);
    const masks = [...data.slice(at, at + 4), (data[at + 4] ?? 0) & ~COMBO_BIT, data[at + 5] ?? 0];
    const pad = usesRmgr ? [] : [GARBAGE, GARBAGE, ...NO_CID];
    tuples.push(...masks, ...pad, ...data.slice(at + 6, at + 7 + length));
    at += 7 + length;
  }
  return tuples;
}

function content(
  blocks: readonly { readonly block: WalBlockReference; readonly data: Bytes }[],
  main: Bytes,
  major: number,
): number[] {
  const headers: number[] = [];
  const payload: number[] = [];
  for (const { block, data } of blocks) {
    const { tag, image } = block;
    const flags =
      (image === undefined ? 0 : 0x10) | (data.length > 0 ? 0x20 : 0) | (block.willInit ? 0x40 : 0);
    headers.push(block.id, tag.forkNum | flags, ...u16(data.length));
    if (image !== undefined) {
      const applyBit = major === 14 ? 4 : 2;
      const bits = (image.holeLength > 0 ? 1 : 0) | (image.apply ? applyBit : 0);
      headers.push(...u16(image.bytes.length), ...u16(image.holeOffset), bits);
      payload.push(...image.bytes);
    }
    headers.push(...u32(tag.spcNode), ...u32(tag.dbNode), ...u32(tag.relNode), ...u32(block.blockNumber));
    payload.push(...data);
  }
  return [...headers, 254, ...u32(main.length), ...payload, ...main];
}

const u16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];
