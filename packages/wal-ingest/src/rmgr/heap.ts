import { relBlockKey } from '@neon-snapshot/neon-layer';
import { type DecodedWalBlock, RESOURCE_MANAGER, type RelTag } from '@neon-snapshot/postgres';
import { tagOf } from '../block-references.ts';
import type { HeapFlagOffsets } from '../heap-layout.ts';
import { failRecord, OPERATION_MASK, type Pending, type RecordContext } from '../record-context.ts';

/** `MAPSIZE` × heap blocks per byte of visibilitymap.c: heap blocks that one page of the map stands for. */
export const HEAP_BLOCKS_PER_VM_PAGE = 32_672;
const VISIBILITY_MAP_FORK = 2;
/** `VISIBILITYMAP_ALL_FROZEN`, and both bits, of visibilitymapdefs.h. */
const ALL_FROZEN = 0x02;
const VALID_BITS = 0x03;

const HEAP_OPERATIONS: Readonly<Record<number, VmClearRule>> = {
  0: { flags: 'insert', newBit: 0x01 },
  16: { flags: 'delete', newBit: 0x01 },
  32: { flags: 'update', oldBit: 0x01, newBit: 0x02 },
  64: { flags: 'update', oldBit: 0x01, newBit: 0x02 },
  96: { flags: 'lock', oldBit: 0x01, cleared: ALL_FROZEN },
};
const HEAP2_OPERATIONS: Readonly<Record<number, VmClearRule>> = {
  80: { flags: 'multiInsert', newBit: 0x01 },
  96: { flags: 'lockUpdated', oldBit: 0x01, cleared: ALL_FROZEN },
};

/** Which bits of a record's flags (`XLH_*_ALL_VISIBLE_CLEARED`) say that a page's bits in the visibility map go. */
export interface VmClearRule {
  readonly flags: keyof HeapFlagOffsets;
  /** The page of the new or only tuple: the first block. */
  readonly newBit?: number;
  /** The page of the old tuple: the last block. */
  readonly oldBit?: number;
  /** Bits of the map; default both. */
  readonly cleared?: number;
}

/** HEAP and HEAP2: what they do to the visibility map, which no block reference tells. */
export function ingestHeap(context: RecordContext): Pending {
  const { decoded, heapFlags } = context;
  const rules = decoded.resourceManager === RESOURCE_MANAGER.heap ? HEAP_OPERATIONS : HEAP2_OPERATIONS;
  const rule = rules[decoded.info & OPERATION_MASK];
  return rule === undefined ? undefined : clearVisibility(context, rule, heapFlags);
}

/** Applies a rule to a record whose flags lie where `offsets` says. */
export function clearVisibility(
  context: RecordContext,
  rule: VmClearRule,
  offsets: HeapFlagOffsets,
): Pending {
  const { decoded } = context;
  const offset = offsets[rule.flags];
  if (offset >= decoded.mainLength) failRecord(context, `main data of ${decoded.mainLength} bytes`);
  const flags = decoded.bytes[decoded.mainOffset + offset] ?? 0;
  const isNew = rule.newBit !== undefined && (flags & rule.newBit) !== 0;
  const isOld = rule.oldBit !== undefined && (flags & rule.oldBit) !== 0;
  if (!isNew && !isOld) return undefined;
  if (decoded.blockCount === 0) failRecord(context, 'no block, but a change of the visibility map');
  const first = decoded.block(0);
  return clearBits(context, {
    map: { ...tagOf(context, first), forkNum: VISIBILITY_MAP_FORK },
    newHeapBlock: isNew ? first.blockNumber : undefined,
    oldHeapBlock: isOld ? lastBlock(context).blockNumber : undefined,
    flags: rule.cleared ?? VALID_BITS,
  });
}

interface VmClear {
  readonly map: RelTag;
  readonly newHeapBlock: number | undefined;
  readonly oldHeapBlock: number | undefined;
  readonly flags: number;
}

/** One change where both heap pages share a page of the map; none of pages that the map does not have. */
async function clearBits(context: RecordContext, clear: VmClear): Promise<void> {
  const { map, flags } = clear;
  const size = (await context.relations.findSize(map)) ?? 0;
  const newHeapBlock = mapPage(clear.newHeapBlock) < size ? clear.newHeapBlock : undefined;
  const oldHeapBlock = mapPage(clear.oldHeapBlock) < size ? clear.oldHeapBlock : undefined;
  const put = (heapBlocks: Pick<VmClear, 'newHeapBlock' | 'oldHeapBlock'>): void => {
    const page = Math.min(mapPage(heapBlocks.newHeapBlock), mapPage(heapBlocks.oldHeapBlock));
    if (page === Number.POSITIVE_INFINITY) return;
    const record = { kind: 'clear-visibility-map-flags', ...heapBlocks, flags } as const;
    context.modification.putRecord(relBlockKey(map, page), record);
  };
  if (mapPage(newHeapBlock) === mapPage(oldHeapBlock)) put({ newHeapBlock, oldHeapBlock });
  else {
    put({ newHeapBlock, oldHeapBlock: undefined });
    put({ newHeapBlock: undefined, oldHeapBlock });
  }
}

/** The page of the map that a heap block's bits are on; infinite for no block. */
function mapPage(heapBlock: number | undefined): number {
  return heapBlock === undefined ? Number.POSITIVE_INFINITY : Math.floor(heapBlock / HEAP_BLOCKS_PER_VM_PAGE);
}

function lastBlock({ decoded }: RecordContext): DecodedWalBlock {
  return decoded.block(decoded.blockCount - 1);
}
