/** Resource manager 12, Hash (hash_xlog.c, hash_xlog.h). */
import { align8, type Bytes, copyBytes, f64, setF64, setU32, u32 } from '../bytes.ts';
import { insertItem } from '../page/add-item.ts';
import { deleteItems } from '../page/delete-item.ts';
import { INVALID_BLOCK, indexTupleSize } from '../page/tuple.ts';
import {
  blockNumberOf,
  missingImage,
  type RedoContext,
  type ResourceManager,
  unsupportedRecord,
} from '../redo-context.ts';
import {
  changeBitmapBit,
  clearHashFlag,
  initBitmapPage,
  initHashMetapage,
  initHashPage,
  initLonePage,
  LH_BUCKET_NEEDS_SPLIT_CLEANUP,
  LH_OVERFLOW_PAGE,
  LH_PAGE_HAS_DEAD_TUPLES,
  LH_UNUSED_PAGE,
  META,
  setHashFlag,
  setNextBlock,
  setPrevBlock,
} from './hash-page.ts';

/** `XLOG_HASH_*` */
const XLOG_HASH = {
  initMetaPage: 0x00,
  initBitmapPage: 0x10,
  insert: 0x20,
  addOvflPage: 0x30,
  splitAllocatePage: 0x40,
  splitPage: 0x50,
  splitComplete: 0x60,
  movePageContents: 0x70,
  squeezePage: 0x80,
  delete: 0x90,
  splitCleanup: 0xa0,
  updateMetaPage: 0xb0,
  vacuumOnePage: 0xc0,
} as const;

const XLH_SPLIT_META_UPDATE_MASKS = 1;
const XLH_SPLIT_META_UPDATE_SPLITPOINT = 2;

type Redo = (context: RedoContext) => void;

const OPERATIONS: Readonly<Record<number, Redo>> = {
  [XLOG_HASH.initMetaPage]: ({ page, main }) => initHashMetapage(page, main),
  [XLOG_HASH.initBitmapPage]: redoInitBitmapPage,
  [XLOG_HASH.insert]: redoInsert,
  [XLOG_HASH.addOvflPage]: redoAddOverflowPage,
  [XLOG_HASH.splitAllocatePage]: redoSplitAllocate,
  [XLOG_HASH.splitPage]: (context) => {
    throw missingImage(context);
  },
  [XLOG_HASH.splitComplete]: ({ page, main, block }) => setHashFlag(page, main.u16(2 * block.id)),
  [XLOG_HASH.movePageContents]: redoMovePageContents,
  [XLOG_HASH.squeezePage]: redoSqueezePage,
  [XLOG_HASH.delete]: redoDelete,
  [XLOG_HASH.splitCleanup]: ({ page }) => clearHashFlag(page, LH_BUCKET_NEEDS_SPLIT_CLEANUP),
  [XLOG_HASH.updateMetaPage]: ({ page, main }) =>
    copyBytes(page, META.ntuples, main.bytes, main.place(0, 8), 8),
  [XLOG_HASH.vacuumOnePage]: redoVacuumOnePage,
};

export const hash: ResourceManager = {
  operations: XLOG_HASH,
  operationMask: 0xf0,
  redo(context) {
    const operation = OPERATIONS[context.info & 0xf0];
    if (operation === undefined) throw unsupportedRecord(context);
    operation(context);
  },
  /** The special space of a page being split changes after its image was taken. */
  redoRestored(context) {
    const operation = context.info & 0xf0;
    const isOldBucket = operation === XLOG_HASH.splitAllocatePage && context.block.id === 0;
    if (isOldBucket || operation === XLOG_HASH.splitComplete) hash.redo(context);
  },
};

function redoInitBitmapPage({ page, main, block }: RedoContext): void {
  if (block.id === 0) {
    initBitmapPage(page, main.u16(0));
    return;
  }
  addBitmapPage(page, u32(page, META.maxbucket) + 2);
}

function addBitmapPage(metapage: Bytes, block: number): void {
  const maps = u32(metapage, META.nmaps);
  setU32(metapage, META.mapp + 4 * maps, block);
  setU32(metapage, META.nmaps, maps + 1);
}

function redoInsert({ page, main, data, block }: RedoContext): void {
  if (block.id === 0) insertItem(page, main.u16(0), data);
  else setF64(page, META.ntuples, f64(page, META.ntuples) + 1);
}

/** 0 the new overflow page, 1 the page before it, 2 the bitmap page, 3 a new bitmap page, 4 the metapage. */
function redoAddOverflowPage(context: RedoContext): void {
  const { page, main, data, block, record } = context;
  switch (block.id) {
    case 0: {
      const previous = blockNumberOf(context, 1);
      initHashPage(page, {
        previous,
        next: INVALID_BLOCK,
        bucket: data.u32(0),
        flag: LH_OVERFLOW_PAGE,
      });
      return;
    }
    case 1:
      setNextBlock(page, blockNumberOf(context, 0));
      return;
    case 2:
      changeBitmapBit(page, data.u32(0), true);
      return;
    case 3:
      initBitmapPage(page, main.u16(0));
      return;
    case 4: {
      setU32(page, META.firstfree, data.u32(0));
      if (main.bool(2)) return;
      const newBitmap = record.findBlock(3);
      const spare = META.spares + 4 * u32(page, META.ovflpoint);
      setU32(page, spare, u32(page, spare) + (newBitmap === undefined ? 1 : 2));
      if (newBitmap !== undefined) addBitmapPage(page, newBitmap.blockNumber);
      return;
    }
    default:
      throw unsupportedRecord(context);
  }
}

/** 0 the old bucket's page, 1 the new one's, 2 the metapage. Main data: new bucket, flags of both pages, flags. */
function redoSplitAllocate({ page, main, data, block }: RedoContext): void {
  const bucket = main.u32(0);
  if (block.id === 0) {
    setHashFlag(page, main.u16(4));
    setPrevBlock(page, bucket);
  } else if (block.id === 1) {
    initHashPage(page, { previous: bucket, next: INVALID_BLOCK, bucket, flag: main.u16(6) });
  } else {
    const flags = main.u8(8);
    let at = 0;
    setU32(page, META.maxbucket, bucket);
    if ((flags & XLH_SPLIT_META_UPDATE_MASKS) !== 0) {
      setU32(page, META.lowmask, data.u32(0));
      setU32(page, META.highmask, data.u32(4));
      at = 8;
    }
    if ((flags & XLH_SPLIT_META_UPDATE_SPLITPOINT) !== 0) {
      const point = data.u32(at);
      setU32(page, META.spares + 4 * point, data.u32(at + 4));
      setU32(page, META.ovflpoint, point);
    }
  }
}

/** 0 the bucket's first page, only locked; 1 gets tuples, 2 loses them. */
function redoMovePageContents(context: RedoContext): void {
  const { page, main, data, block } = context;
  if (block.id === 1) insertTuples(context, main.u16(0));
  else if (block.id === 2) deleteItems(page, data.offsets(0, data.length >> 1));
  else context.stampsLsn = false;
}

/** 0 bucket (only locked), 1 write page, 2 freed page, 3 page before, 4 page after, 5 bitmap page, 6 metapage. */
function redoSqueezePage(context: RedoContext): void {
  const { page, main, data, block, settings } = context;
  const previous = main.u32(0);
  const next = main.u32(4);
  const tuples = main.u16(8);
  const isPreviousWritten = main.bool(11);
  switch (block.id) {
    case 0:
      context.stampsLsn = false;
      return;
    case 1:
      insertTuples(context, tuples);
      if (isPreviousWritten) setNextBlock(page, next);
      if (settings.differences.hashSqueezeSparesUnchanged)
        context.stampsLsn = tuples > 0 || isPreviousWritten;
      return;
    case 2:
      initLonePage(page, LH_UNUSED_PAGE);
      return;
    case 3:
      setNextBlock(page, next);
      return;
    case 4:
      setPrevBlock(page, previous);
      return;
    case 5:
      changeBitmapBit(page, data.u32(0), false);
      return;
    case 6:
      setU32(page, META.firstfree, data.u32(0));
      return;
    default:
      throw unsupportedRecord(context);
  }
}

/** Block data: offset numbers, then the tuples. */
function insertTuples({ page, data }: RedoContext, count: number): void {
  if (count === 0) return;
  let at = 2 * count;
  for (let index = 0; at < data.length; index++) {
    const size = align8(indexTupleSize(data.bytes, data.place(at, 8)));
    insertItem(page, data.u16(2 * index), data.range(at, size));
    at += size;
  }
}

/** 0 the bucket's first page, only locked; 1 loses tuples. */
function redoDelete(context: RedoContext): void {
  const { page, main, data, block } = context;
  if (block.id !== 1) {
    context.stampsLsn = false;
    return;
  }
  deleteItems(page, data.offsets(0, data.length >> 1));
  if (main.bool(0)) clearHashFlag(page, LH_PAGE_HAS_DEAD_TUPLES);
}

/** Main data: snapshot conflict xid, count, offset numbers at 8. 0 loses the tuples, 1 is the metapage. */
function redoVacuumOnePage({ page, main, block, settings }: RedoContext): void {
  const count = settings.differences.hashVacuumCountBytes === 2 ? main.u16(4) : main.i32(4);
  if (block.id !== 0) {
    setF64(page, META.ntuples, f64(page, META.ntuples) - count);
    return;
  }
  if (count > 0) deleteItems(page, main.offsets(8, count));
  clearHashFlag(page, LH_PAGE_HAS_DEAD_TUPLES);
}
