/** Resource manager 134 of Neon's Postgres 16 and 17 (neon_rmgr.c): heap operations whose records carry t_cid. */
import { NEON_RMGR_HEAP } from '../heap-layout.ts';
import { type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import { redoHeap, XLOG_HEAP } from './heap.ts';
import { redoMultiInsert } from './heap2.ts';

/** `XLOG_NEON_HEAP_*` */
const XLOG_NEON_HEAP = {
  insert: 0x00,
  delete: 0x10,
  update: 0x20,
  hotUpdate: 0x30,
  lock: 0x40,
  multiInsert: 0x50,
} as const;
const OPERATION_MASK = 0x70;

/** The operation of Heap that it stands for. */
const STOCK_OPERATION: Readonly<Record<number, number>> = {
  [XLOG_NEON_HEAP.insert]: XLOG_HEAP.insert,
  [XLOG_NEON_HEAP.delete]: XLOG_HEAP.delete,
  [XLOG_NEON_HEAP.update]: XLOG_HEAP.update,
  [XLOG_NEON_HEAP.hotUpdate]: XLOG_HEAP.hotUpdate,
  [XLOG_NEON_HEAP.lock]: XLOG_HEAP.lock,
};

export const neonHeap: ResourceManager = {
  operations: XLOG_NEON_HEAP,
  operationMask: OPERATION_MASK,
  redo(context: RedoContext): void {
    const { heapLayout, major } = context.settings;
    if (heapLayout !== 'neon' || major < 16) throw unsupportedRecord(context);
    context.heap = NEON_RMGR_HEAP;
    const operation = context.info & OPERATION_MASK;
    if (operation === XLOG_NEON_HEAP.multiInsert) {
      redoMultiInsert(context);
      return;
    }
    const stock = STOCK_OPERATION[operation];
    if (stock === undefined) throw unsupportedRecord(context);
    context.info = (context.info & ~OPERATION_MASK) | stock;
    redoHeap(context);
  },
};
