/**
 * A record as it is replayed for one page alone: in a relation of that page's own, with nothing left of what it does to
 * other blocks. Those are not there in that relation, so redo skips them, unless the record itself makes them.
 */
import {
  type DecodedWalBlock,
  encodeWalRecord,
  RESOURCE_MANAGER,
  type WalRecordDecoder,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import {
  BLOCK_FORK_MASK,
  BLOCK_HAS_IMAGE,
  BLOCK_WILL_INIT,
  type BlockHeader,
  byteAt,
  imageBits,
  readBlockHeaders,
} from './block-headers.ts';
import { isTruncation, VISIBILITY_FORK } from './visibility.ts';

/** The page's place in the scratch cluster. */
export interface PageHome {
  readonly major: number;
  readonly spcNode: number;
  readonly dbNode: number;
  readonly relNode: number;
  readonly forkNum: number;
  readonly blockNumber: number;
}

export interface IsolatedRecord {
  /** xl_prev and the CRC are still to be set. */
  readonly bytes: Uint8Array;
  /** Other blocks that redo reads or makes, in the fork where it does. */
  readonly otherBlocks: readonly { readonly forkNum: number; readonly blockNumber: number }[];
  /** A block whose page has to exist, whatever is on it. */
  readonly presentBlock: number | undefined;
}

const MAIN_FORK = 0;
const FREE_SPACE_FORK = 1;
const INIT_FORK = 3;
const INFO_AT = 16;
/** `XLOG_HEAP_INIT_PAGE` */
const HEAP_INIT_PAGE = 0x80;
const TRUNCATE_RELATION_AT = 4;

/** The fork that stands for a page's own: Postgres copies init forks over main forks when recovery ends. */
export function homeFork(forkNum: number): number {
  return forkNum === INIT_FORK ? MAIN_FORK : forkNum;
}

/** `wantedIndex`: the reference to the page; -1 for a record that changes it without one. */
export function isolateRecord(record: WalRecordDecoder, wantedIndex: number, home: PageHome): IsolatedRecord {
  const headers = readBlockHeaders(record.bytes, record.blockCount, home.major);
  if (record.resourceManager === RESOURCE_MANAGER.xlog) {
    return {
      bytes: imageOnly(record, { wantedIndex, headers, home }),
      otherBlocks: [],
      presentBlock: undefined,
    };
  }
  // Not `slice`, which for a Buffer is no copy.
  const bytes = new Uint8Array(record.bytes);
  const otherBlocks: { forkNum: number; blockNumber: number }[] = [];
  for (const [index, header] of headers.entries()) {
    if (header.relationAt !== undefined) setRelation(bytes, header.relationAt, home);
    const block = record.block(index);
    if (index === wantedIndex) {
      setFork(bytes, header, home.forkNum);
      continue;
    }
    const forkNum = neutralize(bytes, { record, block, header, home });
    otherBlocks.push({ forkNum, blockNumber: block.blockNumber });
  }
  if (isTruncation(record)) setRelation(bytes, record.mainOffset + TRUNCATE_RELATION_AT, home);
  return { bytes, otherBlocks, presentBlock: presentBlockOf(record, wantedIndex) };
}

interface OtherBlock {
  readonly record: WalRecordDecoder;
  readonly block: DecodedWalBlock;
  readonly header: BlockHeader;
  readonly home: PageHome;
}

/** Keeps redo from making a block; returns the fork in which it now looks for it. */
function neutralize(bytes: Uint8Array, { record, block, header, home }: OtherBlock): number {
  const { heap, heap2 } = RESOURCE_MANAGER;
  let forkNum = homeFork(block.forkNum);
  if (record.resourceManager === heap || record.resourceManager === heap2) {
    // Heap redo takes a missing block as one that is gone.
    if (block.applyImage && header.imageInfoAt !== undefined) {
      clearBits(bytes, header.imageInfoAt, imageBits(home.major).apply);
    }
    if (block.willInit) {
      clearBits(bytes, header.flagsAt, BLOCK_WILL_INIT);
      clearBits(bytes, INFO_AT, HEAP_INIT_PAGE);
    }
  } else {
    // Others insist on a page that they make, with its very number: they may, in a fork that nobody looks at.
    const isInTheWay = forkNum === home.forkNum && block.blockNumber === home.blockNumber;
    if (block.applyImage || block.willInit || isInTheWay) {
      forkNum = home.forkNum === VISIBILITY_FORK ? FREE_SPACE_FORK : VISIBILITY_FORK;
    }
  }
  setFork(bytes, header, forkNum);
  return forkNum;
}

/** `brin_xlog_insert_update` takes what it writes into the range map from the number of the *buffer* of block 0. */
function presentBlockOf(record: WalRecordDecoder, wantedIndex: number): number | undefined {
  if (record.resourceManager !== RESOURCE_MANAGER.brin || record.blockCount === 0) return undefined;
  const block = record.block(0);
  if (wantedIndex === 0 || block.id !== 0 || block.applyImage || block.willInit) return undefined;
  return block.blockNumber;
}

/** XLOG FPI and FPI_FOR_HINT hold images of many pages: only the wanted one stays. */
function imageOnly(
  record: WalRecordDecoder,
  of: { readonly wantedIndex: number; readonly headers: readonly BlockHeader[]; readonly home: PageHome },
): Uint8Array {
  const { home, wantedIndex } = of;
  const block = record.block(wantedIndex);
  const header = of.headers[wantedIndex]?.imageHeader;
  const source = record.bytes;
  const image = header === undefined ? new Uint8Array(0) : source.subarray(header.start, header.end);
  const content = new Uint8Array(4 + image.length + 16 + block.imageLength);
  const flags = byteAt(source, of.headers[wantedIndex]?.flagsAt ?? 0);
  content[1] = home.forkNum | (flags & (BLOCK_HAS_IMAGE | BLOCK_WILL_INIT));
  content.set(image, 4);
  const relationAt = 4 + image.length;
  setRelation(content, relationAt, home);
  viewOf(content).setUint32(relationAt + 12, home.blockNumber, true);
  content.set(source.subarray(block.imageOffset, block.imageOffset + block.imageLength), relationAt + 16);
  const { xid, info, resourceManager } = record;
  return encodeWalRecord({ xid, previous: ZERO_LSN, info, resourceManager }, content);
}

function setRelation(bytes: Uint8Array, at: number, home: PageHome): void {
  const view = viewOf(bytes);
  view.setUint32(at, home.spcNode, true);
  view.setUint32(at + 4, home.dbNode, true);
  view.setUint32(at + 8, home.relNode, true);
}

function setFork(bytes: Uint8Array, header: BlockHeader, forkNum: number): void {
  bytes[header.flagsAt] = (byteAt(bytes, header.flagsAt) & ~BLOCK_FORK_MASK) | forkNum;
}

function clearBits(bytes: Uint8Array, at: number, bits: number): void {
  bytes[at] = byteAt(bytes, at) & ~bits;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
