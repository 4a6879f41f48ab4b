/** Resource manager 17, BRIN (brin_xlog.c, brin_xlog.h). */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { type Bytes, setU16, setU32 } from '../bytes.ts';
import { placeItem } from '../page/add-item.ts';
import { deleteItemKeepingOffsets, overwriteItem } from '../page/delete-item.ts';
import { CONTENTS, initPage, setPdLower } from '../page/header.ts';
import { INVALID_BLOCK, ITEM_POINTER_SIZE, setItemPointer } from '../page/tuple.ts';
import { blockNumberOf, type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import { invalidRecord } from '../redo-fault.ts';

/** `XLOG_BRIN_*` */
const XLOG_BRIN = {
  createIndex: 0x00,
  insert: 0x10,
  update: 0x20,
  samepageUpdate: 0x30,
  revmapExtend: 0x40,
  desummarize: 0x50,
} as const;
const XLOG_BRIN_OPMASK = 0x70;
const XLOG_BRIN_INIT_PAGE = 0x80;

const PAGETYPE_META = 0xf091;
const PAGETYPE_REVMAP = 0xf092;
const PAGETYPE_REGULAR = 0xf093;
const SPECIAL_SIZE = 8;
const TYPE_AT = BLCKSZ - 2;

/** `BrinMetaPageData`: magic, version, pagesPerRange, lastRevmapPage. */
const META_MAGIC = 0xa8109cfa;
const META_LAST_REVMAP_PAGE = CONTENTS + 12;
const META_END = CONTENTS + 16;

/** `REVMAP_PAGE_MAXITEMS` */
const REVMAP_ITEMS = Math.floor((BLCKSZ - CONTENTS - SPECIAL_SIZE) / ITEM_POINTER_SIZE);

/** `xl_brin_insert` inside `xl_brin_update`, behind its own field. */
const UPDATE_INSERT_AT = 4;

export const brin: ResourceManager = {
  operations: XLOG_BRIN,
  operationMask: XLOG_BRIN_OPMASK,
  redo(context: RedoContext): void {
    const { page, main, data, block } = context;
    switch (context.info & XLOG_BRIN_OPMASK) {
      case XLOG_BRIN.createIndex:
        createMetapage(context);
        return;
      case XLOG_BRIN.insert:
        insert(context, 0);
        return;
      case XLOG_BRIN.update:
        // Block 2 is the page that the old tuple leaves.
        if (block.id === 2) {
          deleteItemKeepingOffsets(page, main.u16(0));
          return;
        }
        insert(context, UPDATE_INSERT_AT);
        return;
      case XLOG_BRIN.samepageUpdate:
        overwriteItem(page, main.u16(0), data);
        return;
      case XLOG_BRIN.revmapExtend:
        extendRevmap(context);
        return;
      case XLOG_BRIN.desummarize:
        desummarize(context);
        return;
      default:
        throw unsupportedRecord(context);
    }
  },
};

function initBrinPage(page: Bytes, type: number): void {
  initPage(page, SPECIAL_SIZE);
  setU16(page, TYPE_AT, type);
}

function createMetapage({ page, main }: RedoContext): void {
  initBrinPage(page, PAGETYPE_META);
  setU32(page, CONTENTS, META_MAGIC);
  setU32(page, CONTENTS + 4, main.u16(4));
  setU32(page, CONTENTS + 8, main.u32(0));
  setPdLower(page, META_END);
}

/** Block 0 is the page of the new tuple, block 1 the range map's; `xl_brin_insert`: heapBlk, pagesPerRange, offnum. */
function insert(context: RedoContext, at: number): void {
  const { page, main, data, block } = context;
  const offset = main.u16(at + 8);
  if (block.id === 0) {
    if ((context.info & XLOG_BRIN_INIT_PAGE) !== 0) initBrinPage(page, PAGETYPE_REGULAR);
    placeItem(page, offset, data);
  } else if (block.id === 1) {
    const range = { pagesPerRange: main.u32(at + 4), heapBlock: main.u32(at) };
    setRevmapEntry(page, range, { block: blockNumberOf(context, 0), offset });
  } else throw unsupportedRecord(context);
}

function extendRevmap({ page, main, block }: RedoContext): void {
  if (block.id !== 0) {
    initBrinPage(page, PAGETYPE_REVMAP);
    return;
  }
  setU32(page, META_LAST_REVMAP_PAGE, main.u32(0));
  setPdLower(page, META_END);
}

function desummarize({ page, main, block }: RedoContext): void {
  if (block.id !== 0) {
    deleteItemKeepingOffsets(page, main.u16(8));
    return;
  }
  const range = { pagesPerRange: main.u32(0), heapBlock: main.u32(4) };
  setRevmapEntry(page, range, { block: INVALID_BLOCK, offset: 0 });
}

/** `brinSetHeapBlockItemptr` */
function setRevmapEntry(
  page: Bytes,
  range: { readonly pagesPerRange: number; readonly heapBlock: number },
  to: { readonly block: number; readonly offset: number },
): void {
  if (range.pagesPerRange === 0) throw invalidRecord('a BRIN range of no pages');
  const entry = Math.floor(range.heapBlock / range.pagesPerRange) % REVMAP_ITEMS;
  setItemPointer(page, CONTENTS + ITEM_POINTER_SIZE * entry, to);
}
