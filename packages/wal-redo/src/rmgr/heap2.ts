/** Resource manager 9, Heap2 (heapam.c, heapam_xlog.h). Pruning and freezing are in heap-prune.ts. */
import { align2 } from '../bytes.ts';
import { placeSpace } from '../page/add-item.ts';
import { clearPageFlags, initPage, isNew, PD_ALL_VISIBLE, setPageFlags } from '../page/header.ts';
import { setVisibilityBits } from '../page/visibility-map.ts';
import { blockNumberOf, type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import { redoFreezePerTuple, redoFreezePlans, redoPrune, redoPruneFreeze, redoVacuum } from './heap-prune.ts';
import {
  assertHeaderOffset,
  clearXmaxBits,
  heapTuple,
  setInfobits,
  setXmax,
  TUPLE_HEADER_SIZE,
  writeBody,
  writeNewHeader,
} from './heap-tuple.ts';

/** `XLOG_HEAP2_*`. REWRITE (0x00) and NEW_CID (0x70) touch no page; in 17 the first three are prune records of three kinds. */
export const XLOG_HEAP2 = {
  prune: 0x10,
  vacuum: 0x20,
  freezePage: 0x30,
  visible: 0x40,
  multiInsert: 0x50,
  lockUpdated: 0x60,
} as const;
const XLOG_HEAP_OPMASK = 0x70;
const XLOG_HEAP_INIT_PAGE = 0x80;

const XLH_INSERT_ALL_VISIBLE_CLEARED = 0x01;
const XLH_INSERT_ALL_FROZEN_SET = 0x20;

export const heap2: ResourceManager = {
  operations: XLOG_HEAP2,
  operationMask: XLOG_HEAP_OPMASK,
  redo: redoHeap2,
};

function redoHeap2(context: RedoContext): void {
  const { freeze } = context.settings.differences;
  const operation = context.info & XLOG_HEAP_OPMASK;
  switch (operation) {
    case XLOG_HEAP2.prune:
    case XLOG_HEAP2.vacuum:
    case XLOG_HEAP2.freezePage:
      if (freeze === 'with-prune') {
        redoPruneFreeze(context);
        return;
      }
      if (operation === XLOG_HEAP2.prune) {
        redoPrune(context);
        return;
      }
      if (operation === XLOG_HEAP2.vacuum) {
        redoVacuum(context);
        return;
      }
      freeze === 'plans' ? redoFreezePlans(context) : redoFreezePerTuple(context);
      return;
    case XLOG_HEAP2.visible:
      redoVisible(context);
      return;
    case XLOG_HEAP2.multiInsert:
      redoMultiInsert(context);
      return;
    case XLOG_HEAP2.lockUpdated:
      redoLockUpdated(context);
      return;
    default:
      throw unsupportedRecord(context);
  }
}

/** Block 0 is the visibility map's page, block 1 the heap's. */
function redoVisible(context: RedoContext): void {
  const { page, main, block, settings } = context;
  if (block.id === 0) {
    if (isNew(page)) initPage(page, 0);
    const bits = main.u8(4) & settings.differences.visibleFlagsMask;
    context.stampsLsn = setVisibilityBits(page, blockNumberOf(context, 1), bits);
  } else {
    setPageFlags(page, PD_ALL_VISIBLE);
    // The flag alone is a hint: where hints are not logged, the page may be written before this record is.
    context.stampsLsn = settings.hintBitsLogged;
  }
}

/** Tuples lie at even places of the block's data: length, header, body. */
export function redoMultiInsert(context: RedoContext): void {
  const { page, main, data, heap } = context;
  const { offsets, cidIn, tupleHeaderSize } = heap.multiInsert;
  const flags = main.u8(0);
  const count = main.u16(2);
  const isInit = (context.info & XLOG_HEAP_INIT_PAGE) !== 0;
  if (isInit) initPage(page, 0);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const offset = isInit ? index + 1 : main.u16(offsets + 2 * index);
    at = align2(at);
    const length = data.u16(at);
    const header = {
      infomask2: data.u16(at + 2),
      infomask: data.u16(at + 4),
      cid: cidIn === 'tuple' ? data.u32(at + 8) : cidIn === 'main' ? main.u32(4) : 0,
      hoff: data.u8(at + tupleHeaderSize - 1),
    };
    assertHeaderOffset(header.hoff);
    const tuple = placeSpace(page, offset, TUPLE_HEADER_SIZE + length);
    writeNewHeader(context, tuple, header, 0, offset);
    writeBody(page, tuple + TUPLE_HEADER_SIZE, data, at + tupleHeaderSize, length);
    at += tupleHeaderSize + length;
  }
  if ((flags & XLH_INSERT_ALL_VISIBLE_CLEARED) !== 0) clearPageFlags(page, PD_ALL_VISIBLE);
  if ((flags & XLH_INSERT_ALL_FROZEN_SET) !== 0) setPageFlags(page, PD_ALL_VISIBLE);
}

/** A lock on a newer version of an updated tuple: unlike LOCK it leaves t_ctid and t_cid. */
function redoLockUpdated(context: RedoContext): void {
  const { page, main, heap } = context;
  const tuple = heapTuple(page, main.u16(4));
  clearXmaxBits(page, tuple);
  setInfobits(page, tuple, main.u8(6), heap.carriesCid);
  setXmax(page, tuple, main.u32(0));
}
