/** Heap records that clear bits of the visibility map, which they do not refer to (heapam_xlog.h, stock layouts). */
import { RESOURCE_MANAGER, type WalRecordDecoder } from '@neon-snapshot/postgres';
import { byteAt } from './block-headers.ts';

export const VISIBILITY_FORK = 2;

/** `HEAPBLOCKS_PER_PAGE` of visibilitymap.c: four blocks a byte behind the page header. */
const HEAP_BLOCKS_PER_PAGE = (8192 - 24) * 4;
const OPERATION_MASK = 0x70;
const HEAP = { insert: 0x00, delete: 0x10, update: 0x20, hotUpdate: 0x40, lock: 0x60 } as const;
const HEAP2 = { multiInsert: 0x50, lockUpdated: 0x60 } as const;
const OLD_CLEARED = 1;
const NEW_CLEARED = 2;
const XLOG_SMGR_TRUNCATE = 0x20;

/** Block of the map that holds a heap block's bits. */
export function visibilityMapBlock(heapBlock: number): number {
  return Math.floor(heapBlock / HEAP_BLOCKS_PER_PAGE);
}

/** Indexes of the references to heap blocks whose bits a record clears. */
export function clearedHeapBlocks(record: WalRecordDecoder): readonly number[] {
  const operation = record.info & OPERATION_MASK;
  if (record.resourceManager === RESOURCE_MANAGER.heap) return clearedByHeap(record, operation);
  if (record.resourceManager !== RESOURCE_MANAGER.heap2) return [];
  if (operation === HEAP2.multiInsert) return firstIf(record, 0);
  return operation === HEAP2.lockUpdated ? firstIf(record, 7) : [];
}

/** SMGR TRUNCATE (storage_xlog.h), which cuts the map of a relation too. */
export function isTruncation(record: WalRecordDecoder): boolean {
  return record.resourceManager === RESOURCE_MANAGER.storage && (record.info & 0xf0) === XLOG_SMGR_TRUNCATE;
}

function clearedByHeap(record: WalRecordDecoder, operation: number): readonly number[] {
  switch (operation) {
    case HEAP.insert:
      return firstIf(record, 2);
    case HEAP.delete:
    case HEAP.lock:
      return firstIf(record, 7);
    case HEAP.update:
    case HEAP.hotUpdate: {
      // The old tuple's block comes last where it is another than the new one's.
      const flags = mainByte(record, 7);
      const old = (flags & OLD_CLEARED) === 0 ? [] : [record.blockCount - 1];
      return (flags & NEW_CLEARED) === 0 ? old : [...old, 0];
    }
    default:
      return [];
  }
}

function firstIf(record: WalRecordDecoder, flagsAt: number): readonly number[] {
  return (mainByte(record, flagsAt) & OLD_CLEARED) === 0 ? [] : [0];
}

function mainByte(record: WalRecordDecoder, at: number): number {
  return at < record.mainLength ? byteAt(record.bytes, record.mainOffset + at) : 0;
}
