/** Changes of visibility map pages that records imply without a block reference: bits that heap records clear, truncation. */
import { RESOURCE_MANAGER, type RelTag, type WalRecordDecoder } from '@neon-snapshot/postgres';
import { Bytes, u32 } from './bytes.ts';
import { type HeapRecordLayout, heapRecordLayout, NEON_RMGR, NEON_RMGR_HEAP } from './heap-layout.ts';
import {
  VISIBILITYMAP_ALL_FROZEN,
  VISIBILITYMAP_ALL_VISIBLE,
  visibilityMapBlock,
} from './page/visibility-map.ts';
import type { RedoSettings } from './redo-context.ts';
import { RedoError } from './redo-error.ts';
import { XLOG_HEAP } from './rmgr/heap.ts';
import { XLOG_HEAP2 } from './rmgr/heap2.ts';

/** Bits of one heap block that a record clears, whether or not the heap page itself still needs the record. */
export interface VisibilityClear {
  /** Of the visibility map. */
  readonly tag: RelTag;
  readonly mapBlock: number;
  readonly heapBlock: number;
  /** `VISIBILITYMAP_*` */
  readonly bits: number;
}

const NONE: readonly VisibilityClear[] = [];
const BOTH_BITS = VISIBILITYMAP_ALL_VISIBLE | VISIBILITYMAP_ALL_FROZEN;
const OPERATION_MASK = 0x70;
const UPDATE_FLAGS_AT = 7;
const LOCK_UPDATED_FLAGS_AT = 7;
const OLD_CLEARED = 1;
const NEW_CLEARED = 2;
const VISIBILITY_FORK = 2;

/** What a heap record clears; empty for all others. A record that is too short for its flags clears nothing. */
export function visibilityClears(
  record: WalRecordDecoder,
  settings: RedoSettings,
): readonly VisibilityClear[] {
  const operation = record.info & OPERATION_MASK;
  switch (record.resourceManager) {
    case RESOURCE_MANAGER.heap:
      return heapClears(record, operation, heapRecordLayout(settings.major, settings.heapLayout));
    case RESOURCE_MANAGER.heap2:
      if (operation === XLOG_HEAP2.multiInsert) return clearsIf(record, 0, BOTH_BITS);
      if (operation === XLOG_HEAP2.lockUpdated) {
        return clearsIf(record, LOCK_UPDATED_FLAGS_AT, VISIBILITYMAP_ALL_FROZEN);
      }
      return NONE;
    case NEON_RMGR:
      return settings.heapLayout === 'neon' ? neonClears(record, operation) : NONE;
    default:
      return NONE;
  }
}

function heapClears(
  record: WalRecordDecoder,
  operation: number,
  layout: HeapRecordLayout,
): readonly VisibilityClear[] {
  switch (operation) {
    case XLOG_HEAP.insert:
      return clearsIf(record, 2, BOTH_BITS);
    case XLOG_HEAP.delete:
      return clearsIf(record, layout.delete.flags, BOTH_BITS);
    case XLOG_HEAP.update:
    case XLOG_HEAP.hotUpdate:
      return updateClears(record);
    case XLOG_HEAP.lock:
      return clearsIf(record, layout.lock.flags, VISIBILITYMAP_ALL_FROZEN);
    default:
      return NONE;
  }
}

/** As Heap's, with other numbers: hot update 0x30, lock 0x40, multi-insert 0x50. */
function neonClears(record: WalRecordDecoder, operation: number): readonly VisibilityClear[] {
  switch (operation) {
    case 0x30:
      return updateClears(record);
    case 0x40:
      return clearsIf(record, NEON_RMGR_HEAP.lock.flags, VISIBILITYMAP_ALL_FROZEN);
    case 0x50:
      return clearsIf(record, 0, BOTH_BITS);
    default:
      return operation > 0x50 ? NONE : heapClears(record, operation, NEON_RMGR_HEAP);
  }
}

function clearsIf(record: WalRecordDecoder, flagsAt: number, bits: number): readonly VisibilityClear[] {
  return (mainFlags(record, flagsAt) & OLD_CLEARED) === 0 ? NONE : [clearOf(record, 0, bits)];
}

function updateClears(record: WalRecordDecoder): readonly VisibilityClear[] {
  const flags = mainFlags(record, UPDATE_FLAGS_AT);
  if ((flags & (OLD_CLEARED | NEW_CLEARED)) === 0) return NONE;
  const clears: VisibilityClear[] = [];
  if ((flags & OLD_CLEARED) !== 0) clears.push(clearOf(record, record.blockCount - 1, BOTH_BITS));
  if ((flags & NEW_CLEARED) !== 0) clears.push(clearOf(record, 0, BOTH_BITS));
  return clears;
}

function clearOf(record: WalRecordDecoder, blockIndex: number, bits: number): VisibilityClear {
  const { spcNode, dbNode, relNode, blockNumber } = record.block(blockIndex);
  const tag: RelTag = { spcNode, dbNode, relNode, forkNum: VISIBILITY_FORK };
  return { tag, mapBlock: visibilityMapBlock(blockNumber), heapBlock: blockNumber, bits };
}

function mainFlags(record: WalRecordDecoder, at: number): number {
  return at < record.mainLength ? (record.bytes[record.mainOffset + at] ?? 0) : 0;
}

/** SMGR TRUNCATE (storage_xlog.h): a relation is cut to `heapBlocks`, its forks by the flags. */
export interface RelationTruncation {
  /** Of the main fork. */
  readonly tag: RelTag;
  readonly heapBlocks: number;
  readonly cutsMain: boolean;
  readonly cutsVisibilityMap: boolean;
  readonly cutsFreeSpaceMap: boolean;
}

const XLOG_SMGR_TRUNCATE = 0x20;
const TRUNCATE_SIZE = 20;

/** The truncation that a record is, or `undefined`. Throws RedoError for one that is cut short. */
export function relationTruncation(record: WalRecordDecoder): RelationTruncation | undefined {
  if (record.resourceManager !== RESOURCE_MANAGER.storage || (record.info & 0xf0) !== XLOG_SMGR_TRUNCATE) {
    return undefined;
  }
  if (record.mainLength < TRUNCATE_SIZE) {
    throw new RedoError({
      code: 'REDO_INVALID_RECORD',
      operation: 'read truncation',
      message: `A truncation record has ${TRUNCATE_SIZE} bytes of data; found ${record.mainLength}`,
    });
  }
  const bytes = new Bytes(record.bytes);
  const field = (index: number): number => u32(bytes, record.mainOffset + 4 * index);
  const flags = field(4);
  return {
    tag: { spcNode: field(1), dbNode: field(2), relNode: field(3), forkNum: 0 },
    heapBlocks: field(0),
    cutsMain: (flags & 1) !== 0,
    cutsVisibilityMap: (flags & 2) !== 0,
    cutsFreeSpaceMap: (flags & 4) !== 0,
  };
}
