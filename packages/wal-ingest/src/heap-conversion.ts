/**
 * Heap records of stock Postgres 14 and 15 in the layout of Neon's builds of these majors (heapam_xlog.h there), which is the
 * only one that Neon's ingest and redo read. Little-endian; t_cid is always 0, as stock redo sets it.
 *
 *                        stock                                    Neon
 *   tuple header         m2 u16, m u16, hoff u8                   m2, m, t_cid u32, hoff
 *   multi-insert tuple   len u16, m2, m, hoff u8, at even places  len, m2, m, pad 2, t_cid u32, hoff, at even places
 *   delete, lock main    xid u32, off u16, infobits u8, flags u8  xid, off, pad 2, t_cid u32, infobits, flags
 *   update main          xid u32, off u16, infobits, flags,       xid, off, infobits, flags, t_cid u32,
 *                        new xid u32, new off u16                 new xid, new off
 *
 * Delete and update may be followed by the header and data of the old tuple (logical decoding). HEAP_COMBOCID is cleared,
 * as stock redo clears it; Neon's takes it from the record.
 */
import { formatLsn, type Lsn, RESOURCE_MANAGER, type WalRecordDecoder } from '@neon-snapshot/postgres';
import { IngestError } from './ingest-error.ts';
import { OPERATION_MASK } from './record-context.ts';
import { type RecordParts, rewriteRecord } from './rewrite-record.ts';

const INSERT = 0x00;
const DELETE = 0x10;
const UPDATE = 0x20;
const HOT_UPDATE = 0x40;
const LOCK = 0x60;
const MULTI_INSERT = 0x50;
/** `XLH_UPDATE_PREFIX_FROM_OLD`, `XLH_UPDATE_SUFFIX_FROM_OLD`: a u16 each before the new tuple. */
const UPDATE_PREFIX = 0x20;
const UPDATE_SUFFIX = 0x40;
/** Of t_infomask. */
const HEAP_COMBOCID = 0x0020;
/** Neon's bit for it in infobits; stock has none there. */
const INFOBITS_COMBOCID = 0x20;
const HEADER_SIZE = 5;
const CID_SIZE = 4;
const DELETE_SIZE = 8;
const UPDATE_SIZE = 14;
const TUPLE_SIZE = 7;
const NEON_TUPLE_SIZE = 13;
const BLOCK_DATA_MAX = 0xffff;

/**
 * The record in Neon's layout with right lengths and CRC, or its own bytes where the layouts do not differ. Throws
 * `INGEST_INVALID_RECORD`.
 *
 * @param decoded - A record of stock Postgres 14 or 15.
 * @param end - Where the record ends, for messages.
 */
export function convertHeapRecord(decoded: WalRecordDecoder, end: Lsn): Uint8Array {
  const parts = convertParts(new Conversion(decoded, end));
  if (parts?.blockData === undefined && parts?.mainData === undefined) return decoded.bytes;
  return rewriteRecord(decoded, parts);
}

function convertParts(conversion: Conversion): RecordParts | undefined {
  const { resourceManager, info } = conversion.decoded;
  const operation = info & OPERATION_MASK;
  if (resourceManager === RESOURCE_MANAGER.heap2) {
    return operation === MULTI_INSERT ? { blockData: convertTuples(conversion) } : undefined;
  }
  if (resourceManager !== RESOURCE_MANAGER.heap) return undefined;
  switch (operation) {
    case INSERT:
      return { blockData: convertNewTuple(conversion, 0) };
    case DELETE:
      return { mainData: convertDelete(conversion) };
    case LOCK:
      return { mainData: convertLock(conversion) };
    case UPDATE:
    case HOT_UPDATE:
      return convertUpdate(conversion);
    default:
      return undefined;
  }
}

function convertNewTuple(conversion: Conversion, headerOffset: number): Uint8Array | undefined {
  const data = conversion.blockData();
  return data.length === 0 ? undefined : conversion.widenHeader(data, headerOffset);
}

function convertDelete(conversion: Conversion): Uint8Array {
  const main = conversion.main(DELETE_SIZE);
  return concat(convertTarget(main), conversion.oldTuple(main, DELETE_SIZE));
}

function convertLock(conversion: Conversion): Uint8Array {
  const main = conversion.main(DELETE_SIZE);
  return main.length === DELETE_SIZE ? convertTarget(main) : conversion.fail('a lock with other main data');
}

/** xid, offset | two bytes of padding, t_cid | infobits, flags */
function convertTarget(main: Uint8Array): Uint8Array {
  const target = new Uint8Array(DELETE_SIZE + 2 + CID_SIZE);
  target.set(main.subarray(0, 6));
  target[12] = (main[6] ?? 0) & ~INFOBITS_COMBOCID;
  target[13] = main[7] ?? 0;
  return target;
}

function convertUpdate(conversion: Conversion): RecordParts {
  const main = conversion.main(UPDATE_SIZE);
  const flags = main[7] ?? 0;
  const head = concat(main.subarray(0, 8), new Uint8Array(CID_SIZE), main.subarray(8, UPDATE_SIZE));
  head[6] = (main[6] ?? 0) & ~INFOBITS_COMBOCID;
  const headerOffset = ((flags & UPDATE_PREFIX) === 0 ? 0 : 2) + ((flags & UPDATE_SUFFIX) === 0 ? 0 : 2);
  return {
    mainData: concat(head, conversion.oldTuple(main, UPDATE_SIZE)),
    blockData: convertNewTuple(conversion, headerOffset),
  };
}

function convertTuples(conversion: Conversion): Uint8Array | undefined {
  const data = conversion.blockData();
  if (data.length === 0) return undefined;
  const main = conversion.main(4);
  const count = (main[2] ?? 0) | ((main[3] ?? 0) << 8);
  const out = new Uint8Array(data.length + count * (NEON_TUPLE_SIZE - TUPLE_SIZE));
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let [from, to] = [0, 0];
  for (let i = 0; i < count; i += 1) {
    [from, to] = [from + (from % 2), to + (to % 2)];
    if (from + TUPLE_SIZE > data.length) conversion.fail(`${count} tuples in ${data.length} bytes`);
    const size = view.getUint16(from, true);
    if (from + TUPLE_SIZE + size > data.length) conversion.fail(`a tuple of ${size} bytes`);
    out.set(data.subarray(from, from + 6), to);
    clearComboCid(out, to + 4);
    out.set(data.subarray(from + 6, from + TUPLE_SIZE + size), to + 12);
    [from, to] = [from + TUPLE_SIZE + size, to + NEON_TUPLE_SIZE + size];
  }
  if (from !== data.length) conversion.fail(`${data.length - from} bytes behind the last tuple`);
  return conversion.checkSize(out);
}

/** The record being converted, read with checks. */
class Conversion {
  readonly decoded: WalRecordDecoder;
  readonly #end: Lsn;

  constructor(decoded: WalRecordDecoder, end: Lsn) {
    this.decoded = decoded;
    this.#end = end;
  }

  /** Main data of at least `sizeMin` bytes. */
  main(sizeMin: number): Uint8Array {
    const { bytes, mainOffset, mainLength } = this.decoded;
    if (mainLength < sizeMin) this.fail(`main data of ${mainLength} bytes; expected ${sizeMin}`);
    return bytes.subarray(mainOffset, mainOffset + mainLength);
  }

  /** Data of block 0; empty where a page image stands in for it. */
  blockData(): Uint8Array {
    const block = this.decoded.findBlock(0);
    if (block === undefined) return this.fail('no block 0');
    return this.decoded.bytes.subarray(block.dataOffset, block.dataOffset + block.dataLength);
  }

  /** What follows the fixed part of main data: nothing, or the old tuple. */
  oldTuple(main: Uint8Array, offset: number): Uint8Array {
    const tuple = main.subarray(offset);
    return tuple.length === 0 ? tuple : this.widenHeader(tuple, 0);
  }

  /** The bytes with a command id in the tuple header at `offset`. */
  widenHeader(bytes: Uint8Array, offset: number): Uint8Array {
    if (bytes.length < offset + HEADER_SIZE) this.fail(`a tuple in ${bytes.length} bytes`);
    const cidOffset = offset + 4;
    const wide = concat(bytes.subarray(0, cidOffset), new Uint8Array(CID_SIZE), bytes.subarray(cidOffset));
    clearComboCid(wide, offset + 2);
    return this.checkSize(wide);
  }

  checkSize(data: Uint8Array): Uint8Array {
    return data.length <= BLOCK_DATA_MAX ? data : this.fail(`${data.length} bytes of tuples`);
  }

  fail(reason: string): never {
    const { resourceManager, info } = this.decoded;
    const lsn = formatLsn(this.#end);
    throw new IngestError({
      code: 'INGEST_INVALID_RECORD',
      operation: 'convert',
      message: `The heap record that ends at ${lsn} (info 0x${info.toString(16)}) is none of stock Postgres: ${reason}`,
      context: { lsn, resourceManager, info },
    });
  }
}

/** `at`: where t_infomask lies. */
function clearComboCid(bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] ?? 0) & ~HEAP_COMBOCID;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
