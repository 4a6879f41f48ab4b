import { relBlockKey } from '@neon-snapshot/neon-layer';
import { RESOURCE_MANAGER_INFO_MASK, type RelTag } from '@neon-snapshot/postgres';
import { assertTablespace, forkNumber } from '../block-references.ts';
import type { MainDataReader } from '../main-data-reader.ts';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';
import { ZERO_PAGE } from '../relation-catalog.ts';
import { HEAP_BLOCKS_PER_VM_PAGE } from './heap.ts';

/** storage_xlog.h. */
const SMGR_CREATE = 0x10;
const SMGR_TRUNCATE = 0x20;
const TRUNCATE_HEAP = 0x01;
const TRUNCATE_VISIBILITY_MAP = 0x02;
const TRUNCATE_FREE_SPACE_MAP = 0x04;
/** `SlotsPerFSMPage` of fsm_internals.h. */
const SLOTS_PER_FSM_PAGE = 4069;
const HEAP_BLOCKS_PER_VM_BYTE = 4;

interface Truncation {
  readonly main: RelTag;
  readonly blockCount: number;
}

/** SMGR: relations made and shortened. */
export function ingestStorage(context: RecordContext): Pending {
  switch (context.decoded.info & RESOURCE_MANAGER_INFO_MASK) {
    case SMGR_CREATE:
      return create(context, readMainData(context));
    case SMGR_TRUNCATE:
      return truncate(context, readMainData(context));
    default:
      return undefined;
  }
}

/** xl_smgr_create: tablespace, database, relfilenumber, fork. */
function create(context: RecordContext, main: MainDataReader): Promise<void> {
  const relation = readRelation(context, main);
  return context.relations.create({ ...relation, forkNum: forkNumber(context, main.u32()) });
}

/** xl_smgr_truncate: blocks that stay, tablespace, database, relfilenumber, flags. */
async function truncate(context: RecordContext, main: MainDataReader): Promise<void> {
  const blockCount = main.u32();
  const relation = readRelation(context, main);
  const flags = main.u32();
  const truncation = { main: { ...relation, forkNum: 0 }, blockCount } as const;
  if ((flags & TRUNCATE_HEAP) !== 0) await context.relations.truncate(truncation.main, blockCount);
  if ((flags & TRUNCATE_FREE_SPACE_MAP) !== 0) await truncateFreeSpaceMap(context, truncation);
  if ((flags & TRUNCATE_VISIBILITY_MAP) !== 0) await truncateVisibilityMap(context, truncation);
}

/** Free space is a hint: the page that loses some of its slots simply starts anew. */
async function truncateFreeSpaceMap(context: RecordContext, { main, blockCount }: Truncation): Promise<void> {
  const map = { ...main, forkNum: 1 } as const;
  let page = freeSpaceMapPage(Math.floor(blockCount / SLOTS_PER_FSM_PAGE));
  if (blockCount % SLOTS_PER_FSM_PAGE !== 0) {
    context.modification.putImage(relBlockKey(map, page), ZERO_PAGE);
    page += 1;
  }
  await shorten(context, map, page);
}

async function truncateVisibilityMap(
  context: RecordContext,
  { main, blockCount }: Truncation,
): Promise<void> {
  const map = { ...main, forkNum: 2 } as const;
  const inPage = blockCount % HEAP_BLOCKS_PER_VM_PAGE;
  let page = Math.floor(blockCount / HEAP_BLOCKS_PER_VM_PAGE);
  if (inPage !== 0) {
    context.modification.putRecord(relBlockKey(map, page), {
      kind: 'truncate-visibility-map',
      byte: BigInt(Math.floor(inPage / HEAP_BLOCKS_PER_VM_BYTE)),
      bitOffset: BigInt((inPage % HEAP_BLOCKS_PER_VM_BYTE) * 2),
    });
    page += 1;
  }
  await shorten(context, map, page);
}

async function shorten({ relations }: RecordContext, map: RelTag, blockCount: number): Promise<void> {
  const size = (await relations.findSize(map)) ?? 0;
  if (size > blockCount) await relations.truncate(map, blockCount);
}

/** Physical block of a leaf page of the free space map (`fsm_logical_to_physical`): its ancestors come before it. */
function freeSpaceMapPage(leaf: number): number {
  const parent = Math.floor(leaf / SLOTS_PER_FSM_PAGE);
  const root = Math.floor(parent / SLOTS_PER_FSM_PAGE);
  return leaf + 1 + (parent + 1) + (root + 1) - 1;
}

function readRelation(context: RecordContext, main: MainDataReader): Omit<RelTag, 'forkNum'> {
  const relation = { spcNode: main.u32(), dbNode: main.u32(), relNode: main.u32() };
  if (relation.relNode === 0) main.fail('relation 0');
  assertTablespace(context, relation.spcNode);
  return relation;
}
