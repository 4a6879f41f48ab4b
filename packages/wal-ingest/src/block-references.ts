import { relBlockKey, SIZE_KEY_BLOCK } from '@neon-snapshot/neon-layer';
import {
  BLCKSZ,
  type DecodedWalBlock,
  type ForkNumber,
  RESOURCE_MANAGER,
  type RelTag,
  WAL_IMAGE_COMPRESSION,
  XLOG_INFO,
} from '@neon-snapshot/postgres';
import { failRecord, type Pending, type RecordContext, recordError } from './record-context.ts';

/**
 * Blocks that one record may skip behind the end of a relation, 32 GiB: they become zero pages. Only a hash index skips many,
 * when it is made for very many rows or doubles.
 */
export const GAP_BLOCKS_DEFAULT: number = 4 * 1024 * 1024;
/** Neon's keys hold 16 bits of the tablespace; its page server refuses larger ones. */
const TABLESPACE_MAX = 0xffff;
const PAGE_UPPER_OFFSET = 14;

/**
 * Stores the record with each block that it refers to (specification 8.2): the page itself where the record is nothing but
 * an image of it, the whole record otherwise. Relations come into being and grow by the way.
 *
 * @param raw - The record as it is stored.
 */
export function storeBlocks(context: RecordContext, raw: Uint8Array, first = 0): Pending {
  const { decoded, relations } = context;
  for (let i = first; i < decoded.blockCount; i += 1) {
    const block = decoded.block(i);
    const tag = tagOf(context, block);
    const size = relations.cachedSize(tag);
    // Most records touch blocks of relations that were seen before: no promise for those.
    if (size === undefined || size <= block.blockNumber) return storeGrown(context, raw, i);
    storeBlock(context, raw, block);
  }
  return undefined;
}

/** The relation fork of a block reference; throws for one that no key can stand for. */
export function tagOf(context: RecordContext, block: DecodedWalBlock): RelTag {
  const { spcNode, dbNode, relNode, blockNumber } = block;
  if (relNode === 0) failRecord(context, 'a block of relation 0');
  if (blockNumber === SIZE_KEY_BLOCK) failRecord(context, `block number ${blockNumber}`);
  assertTablespace(context, spcNode);
  return { spcNode, dbNode, relNode, forkNum: forkNumber(context, block.forkNum) };
}

/** Throws for a tablespace that Neon's keys cannot hold. */
export function assertTablespace(context: RecordContext, spcNode: number): void {
  if (spcNode <= TABLESPACE_MAX) return;
  throw recordError(
    context,
    'INGEST_UNSUPPORTED',
    `Neon's keys hold tablespaces up to 65535, not ${spcNode}`,
  );
}

/** Checks the number of a fork. */
export function forkNumber(context: RecordContext, value: number): ForkNumber {
  if (value === 0 || value === 1 || value === 2 || value === 3) return value;
  return failRecord(context, `fork ${value}`);
}

async function storeGrown(context: RecordContext, raw: Uint8Array, index: number): Promise<void> {
  const { decoded, relations, gapBlocksMax } = context;
  const block = decoded.block(index);
  const tag = tagOf(context, block);
  const size = (await relations.findSize(tag)) ?? 0;
  if (block.blockNumber - size > gapBlocksMax) {
    const reason = `block ${block.blockNumber} of a relation of ${size} blocks; the gap is at most ${gapBlocksMax}`;
    throw recordError(context, 'INGEST_TOO_LARGE', reason);
  }
  await relations.extend(tag, block.blockNumber + 1);
  storeBlock(context, raw, block);
  await storeBlocks(context, raw, index + 1);
}

function storeBlock(context: RecordContext, raw: Uint8Array, block: DecodedWalBlock): void {
  const { modification } = context;
  const key = relBlockKey(block as RelTag & DecodedWalBlock, block.blockNumber);
  if (isPlainImage(context, block)) modification.putImage(key, restoreImage(context, block));
  else {
    const willInit = block.willInit || block.applyImage;
    modification.putRecord(key, { kind: 'postgres', willInit, record: raw });
  }
}

/** Whether the block is nothing but an uncompressed page image. Other bits of `info` (a consistency check) exclude it. */
function isPlainImage({ decoded }: RecordContext, block: DecodedWalBlock): boolean {
  return (
    decoded.resourceManager === RESOURCE_MANAGER.xlog &&
    (decoded.info === XLOG_INFO.fullPageImage || decoded.info === XLOG_INFO.fullPageImageForHint) &&
    block.applyImage &&
    block.compression === WAL_IMAGE_COMPRESSION.none
  );
}

/** The page with its hole, and the record's end as its LSN unless it is a new page. */
function restoreImage({ decoded, modification }: RecordContext, block: DecodedWalBlock): Uint8Array {
  const { imageOffset, imageLength, holeOffset, holeLength } = block;
  const page = new Uint8Array(BLCKSZ);
  const headEnd = imageOffset + (holeLength > 0 ? holeOffset : imageLength);
  page.set(decoded.bytes.subarray(imageOffset, headEnd));
  page.set(decoded.bytes.subarray(headEnd, imageOffset + imageLength), holeOffset + holeLength);
  const view = new DataView(page.buffer);
  if (view.getUint16(PAGE_UPPER_OFFSET, true) !== 0) {
    view.setUint32(0, Number(modification.lsn >> 32n), true);
    view.setUint32(4, Number(modification.lsn & 0xffff_ffffn), true);
  }
  return page;
}
