/** Pruning, vacuuming and freezing of heap pages (pruneheap.c, heapam.c): separate records up to 16, one family in 17. */
import { setU16, setU32 } from '../bytes.ts';
import { repairFragmentation, truncateLinePointers } from '../page/compact.ts';
import { itemStart, LP_DEAD, LP_REDIRECT, makeLinePointer, setLinePointer } from '../page/line-pointer.ts';
import type { RedoContext } from '../redo-context.ts';
import { invalidRecord } from '../redo-fault.ts';

/** `XLHP_*`: flags of the prune records of 17. */
const XLHP_CLEANUP_LOCK = 0x04;
const XLHP_HAS_FREEZE_PLANS = 0x10;
const XLHP_HAS_REDIRECTIONS = 0x20;
const XLHP_HAS_DEAD_ITEMS = 0x40;
const XLHP_HAS_NOW_UNUSED_ITEMS = 0x80;

const XLH_FREEZE_XVAC = 0x02;
const XLH_INVALID_XVAC = 0x04;
const FROZEN_XID = 2;

/** Of `xl_heap_freeze_tuple` (14, 15) and of a freeze plan (16, 17). */
const FREEZE_SIZE = 12;

/** 14 to 16: redirections, dead items, and what is left of the data are unused ones. */
export function redoPrune(context: RedoContext): void {
  const { main, data, page, settings } = context;
  const redirected = main.u16(4);
  const dead = main.u16(6);
  const deadAt = 4 * redirected;
  const unusedAt = deadAt + 2 * dead;
  const unused = (data.length - unusedAt) >> 1;
  if (unused < 0) throw invalidRecord('counts of a prune record pass its data');
  pruneItems(context, { redirectedAt: 0, redirected, deadAt, dead, unusedAt, unused });
  repairFragmentation(page, settings.differences.pruneDropsLinePointers);
}

/** 14 to 16: dead items become unused. */
export function redoVacuum(context: RedoContext): void {
  const { main, page } = context;
  const unused = main.u16(0);
  pruneItems(context, { redirectedAt: 0, redirected: 0, deadAt: 0, dead: 0, unusedAt: 0, unused });
  truncateLinePointers(page);
}

/** 14, 15: xmax u32, offset u16, infomask2 u16, infomask u16, flags u8 for each tuple. */
export function redoFreezePerTuple(context: RedoContext): void {
  const { main, data } = context;
  const count = main.u16(4);
  for (let index = 0; index < count; index++) {
    const at = FREEZE_SIZE * index;
    freezeTuple(context, data.u16(at + 4), {
      xmax: data.u32(at),
      infomask2: data.u16(at + 6),
      infomask: data.u16(at + 8),
      flags: data.u8(at + 10),
    });
  }
}

/** 16: plans, then the offset numbers of all of them. */
export function redoFreezePlans(context: RedoContext): void {
  const plans = context.main.u16(4);
  freezeByPlans(context, { plansAt: 0, plans, offsetsAt: FREEZE_SIZE * plans });
}

/** 17: everything that vacuum or an access does to a page, each part only where its flag is set. */
export function redoPruneFreeze(context: RedoContext): void {
  const { main, data, page, settings } = context;
  const flags = main.u8(1);
  let at = 0;
  const plans = (flags & XLHP_HAS_FREEZE_PLANS) === 0 ? 0 : data.u16(0);
  const plansAt = 4;
  if ((flags & XLHP_HAS_FREEZE_PLANS) !== 0) at = plansAt + FREEZE_SIZE * plans;
  const takeList = (flag: number, bytesEach: number): { count: number; at: number } => {
    if ((flags & flag) === 0) return { count: 0, at };
    const list = { count: data.u16(at), at: at + 2 };
    at = list.at + bytesEach * list.count;
    return list;
  };
  const redirected = takeList(XLHP_HAS_REDIRECTIONS, 4);
  const dead = takeList(XLHP_HAS_DEAD_ITEMS, 2);
  const unused = takeList(XLHP_HAS_NOW_UNUSED_ITEMS, 2);
  pruneItems(context, {
    redirectedAt: redirected.at,
    redirected: redirected.count,
    deadAt: dead.at,
    dead: dead.count,
    unusedAt: unused.at,
    unused: unused.count,
  });
  if (redirected.count + dead.count + unused.count > 0) {
    if ((flags & XLHP_CLEANUP_LOCK) === 0) truncateLinePointers(page);
    else repairFragmentation(page, settings.differences.pruneDropsLinePointers);
  }
  freezeByPlans(context, { plansAt, plans, offsetsAt: at });
}

/** `heap_page_prune_execute` without the defragmentation. */
function pruneItems(
  context: RedoContext,
  lists: {
    readonly redirectedAt: number;
    readonly redirected: number;
    readonly deadAt: number;
    readonly dead: number;
    readonly unusedAt: number;
    readonly unused: number;
  },
): void {
  const { page, data } = context;
  for (let index = 0; index < lists.redirected; index++) {
    const at = lists.redirectedAt + 4 * index;
    setLinePointer(page, data.u16(at), makeLinePointer(data.u16(at + 2) & 0x7fff, LP_REDIRECT, 0));
  }
  for (let index = 0; index < lists.dead; index++) {
    setLinePointer(page, data.u16(lists.deadAt + 2 * index), makeLinePointer(0, LP_DEAD, 0));
  }
  for (let index = 0; index < lists.unused; index++) {
    setLinePointer(page, data.u16(lists.unusedAt + 2 * index), 0);
  }
}

/** A plan: xmax u32, infomask2 u16, infomask u16, flags u8, pad, count of tuples u16. */
function freezeByPlans(
  context: RedoContext,
  where: { readonly plansAt: number; readonly plans: number; readonly offsetsAt: number },
): void {
  const { data } = context;
  let offsetAt = where.offsetsAt;
  for (let index = 0; index < where.plans; index++) {
    const at = where.plansAt + FREEZE_SIZE * index;
    const freeze = {
      xmax: data.u32(at),
      infomask2: data.u16(at + 4),
      infomask: data.u16(at + 6),
      flags: data.u8(at + 8),
    };
    for (let count = data.u16(at + 10); count > 0; count--, offsetAt += 2) {
      freezeTuple(context, data.u16(offsetAt), freeze);
    }
  }
}

/** `heap_execute_freeze_tuple` */
function freezeTuple(
  context: RedoContext,
  offset: number,
  freeze: {
    readonly xmax: number;
    readonly infomask2: number;
    readonly infomask: number;
    readonly flags: number;
  },
): void {
  const { page } = context;
  const tuple = itemStart(page, offset);
  setU32(page, tuple + 4, freeze.xmax);
  if ((freeze.flags & XLH_FREEZE_XVAC) !== 0) setU32(page, tuple + 8, FROZEN_XID);
  if ((freeze.flags & XLH_INVALID_XVAC) !== 0) setU32(page, tuple + 8, 0);
  setU16(page, tuple + 20, freeze.infomask);
  setU16(page, tuple + 18, freeze.infomask2);
}
