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
import {
  type DecodedWalBlock,
  formatLsn,
  type Lsn,
  RESOURCE_MANAGER,
  type WalRecordDecoder,
} from '@neon-snapshot/postgres';
import { IngestError } from './ingest-error.ts';
import { OPERATION_MASK } from './record-context.ts';
import type { RecordWriter } from './record-writer.ts';
import { type PartWriter, rewriteRecord } from './rewrite-record.ts';

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
  const { resourceManager, info } = decoded;
  const operation = info & OPERATION_MASK;
  if (resourceManager === RESOURCE_MANAGER.heap2) {
    return operation === MULTI_INSERT ? convertMultiInsert(new Conversion(decoded, end)) : decoded.bytes;
  }
  if (resourceManager !== RESOURCE_MANAGER.heap) return decoded.bytes;
  switch (operation) {
    case INSERT:
      return convertInsert(new Conversion(decoded, end));
    case DELETE:
    case LOCK:
      return convertDelete(new Conversion(decoded, end), operation === LOCK);
    case UPDATE:
    case HOT_UPDATE:
      return convertUpdate(new Conversion(decoded, end));
    default:
      return decoded.bytes;
  }
}

function convertInsert(conversion: Conversion): Uint8Array {
  const { decoded } = conversion;
  const block = conversion.firstBlock();
  // A page image stands in for the tuple.
  if (block.dataLength === 0) return decoded.bytes;
  return rewriteRecord(decoded, {
    writeBlockData: conversion.newTuple(block, 0),
    mainLength: decoded.mainLength,
    growthMax: CID_SIZE,
  });
}

/** xid, offset | two bytes of padding, t_cid | infobits, flags; of a delete, the old tuple may follow. */
function convertDelete(conversion: Conversion, isLock: boolean): Uint8Array {
  const { decoded } = conversion;
  const { bytes, mainOffset, mainLength } = decoded;
  conversion.assertMain(DELETE_SIZE);
  if (isLock && mainLength !== DELETE_SIZE) conversion.fail('a lock with other main data');
  const oldTuple = conversion.oldTuple(DELETE_SIZE);
  const growth = 2 + CID_SIZE + oldTuple.growth;
  return rewriteRecord(decoded, {
    writeMainData: (writer) => {
      writer.copy(bytes, mainOffset, mainOffset + 6);
      writer.zeros(2 + CID_SIZE);
      writer.byte((bytes[mainOffset + 6] as number) & ~INFOBITS_COMBOCID);
      writer.byte(bytes[mainOffset + 7] as number);
      oldTuple.write(writer);
    },
    mainLength: mainLength + growth,
    growthMax: growth,
  });
}

function convertUpdate(conversion: Conversion): Uint8Array {
  const { decoded } = conversion;
  const { bytes, mainOffset, mainLength } = decoded;
  conversion.assertMain(UPDATE_SIZE);
  const flags = bytes[mainOffset + 7] as number;
  const headerOffset = ((flags & UPDATE_PREFIX) === 0 ? 0 : 2) + ((flags & UPDATE_SUFFIX) === 0 ? 0 : 2);
  const oldTuple = conversion.oldTuple(UPDATE_SIZE);
  const block = conversion.firstBlock();
  const growth = CID_SIZE + oldTuple.growth;
  return rewriteRecord(decoded, {
    writeBlockData: block.dataLength === 0 ? undefined : conversion.newTuple(block, headerOffset),
    writeMainData: (writer) => {
      writer.copy(bytes, mainOffset, mainOffset + 6);
      writer.byte((bytes[mainOffset + 6] as number) & ~INFOBITS_COMBOCID);
      writer.byte(flags);
      writer.zeros(CID_SIZE);
      writer.copy(bytes, mainOffset + 8, mainOffset + UPDATE_SIZE);
      oldTuple.write(writer);
    },
    mainLength: mainLength + growth,
    growthMax: growth + CID_SIZE,
  });
}

function convertMultiInsert(conversion: Conversion): Uint8Array {
  const { decoded } = conversion;
  const block = conversion.firstBlock();
  if (block.dataLength === 0) return decoded.bytes;
  conversion.assertMain(4);
  const count = decoded.view.getUint16(decoded.mainOffset + 2, true);
  // One more where an even place is wanted.
  const growthMax = count * (NEON_TUPLE_SIZE - TUPLE_SIZE + 1);
  if (count * TUPLE_SIZE > block.dataLength) conversion.fail(`${count} tuples in ${block.dataLength} bytes`);
  return rewriteRecord(decoded, {
    writeBlockData: (writer) => writeTuples(writer, conversion, { block, count }),
    mainLength: decoded.mainLength,
    growthMax,
  });
}

function writeTuples(
  writer: RecordWriter,
  conversion: Conversion,
  { block, count }: { readonly block: DecodedWalBlock; readonly count: number },
): void {
  const { bytes, view } = conversion.decoded;
  const { dataOffset, dataLength } = block;
  const start = writer.length;
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    at += at % 2;
    if ((writer.length - start) % 2 === 1) writer.zeros(1);
    if (at + TUPLE_SIZE > dataLength) conversion.fail(`${count} tuples in ${dataLength} bytes`);
    const size = view.getUint16(dataOffset + at, true);
    if (at + TUPLE_SIZE + size > dataLength) conversion.fail(`a tuple of ${size} bytes`);
    const from = dataOffset + at;
    writer.copy(bytes, from, from + 6);
    writer.clear(writer.length - 2, HEAP_COMBOCID);
    writer.zeros(2 + CID_SIZE);
    writer.copy(bytes, from + 6, from + TUPLE_SIZE + size);
    at += TUPLE_SIZE + size;
  }
  if (at !== dataLength) conversion.fail(`${dataLength - at} bytes behind the last tuple`);
  conversion.assertSize(writer.length - start);
}

/** Bytes that follow, and how many more they are than before. */
interface GrownPart {
  readonly growth: number;
  readonly write: PartWriter;
}

const NO_PART: GrownPart = { growth: 0, write: () => undefined };

/** The record being converted, read with checks. */
class Conversion {
  readonly decoded: WalRecordDecoder;
  readonly #end: Lsn;

  constructor(decoded: WalRecordDecoder, end: Lsn) {
    this.decoded = decoded;
    this.#end = end;
  }

  /** Main data has at least so many bytes. */
  assertMain(sizeMin: number): void {
    const { mainLength } = this.decoded;
    if (mainLength < sizeMin) this.fail(`main data of ${mainLength} bytes; expected ${sizeMin}`);
  }

  firstBlock(): DecodedWalBlock {
    return this.decoded.findBlock(0) ?? this.fail('no block 0');
  }

  /** Data of a block with a command id in the tuple header at `headerOffset`. */
  newTuple({ dataOffset, dataLength }: DecodedWalBlock, headerOffset: number): PartWriter {
    const tuple = dataOffset + headerOffset;
    const end = dataOffset + dataLength;
    if (tuple + HEADER_SIZE > end) this.fail(`a tuple in ${dataLength} bytes`);
    this.assertSize(dataLength + CID_SIZE);
    const { bytes } = this.decoded;
    return (writer) => {
      writer.copy(bytes, dataOffset, tuple);
      writeTuple(writer, bytes, { start: tuple, end });
    };
  }

  /** What follows the fixed part of main data: nothing, or the old tuple. */
  oldTuple(offset: number): GrownPart {
    const { bytes, mainOffset, mainLength } = this.decoded;
    if (mainLength === offset) return NO_PART;
    const [start, end] = [mainOffset + offset, mainOffset + mainLength];
    if (start + HEADER_SIZE > end) this.fail(`a tuple in ${end - start} bytes`);
    this.assertSize(end - start + CID_SIZE);
    return { growth: CID_SIZE, write: (writer) => writeTuple(writer, bytes, { start, end }) };
  }

  assertSize(length: number): void {
    if (length > BLOCK_DATA_MAX) this.fail(`${length} bytes of tuples`);
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

/** A tuple from its header on, with a command id. */
function writeTuple(
  writer: RecordWriter,
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  writer.copy(bytes, start, start + 4);
  writer.clear(writer.length - 2, HEAP_COMBOCID);
  writer.zeros(CID_SIZE);
  writer.copy(bytes, start + 4, end);
}
