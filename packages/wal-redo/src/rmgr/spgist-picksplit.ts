/** `spgRedoPickSplit`: leaf tuples are spread over pages below a new inner tuple. 0 source, 1 destination, 2 inner, 3 parent. */
import { blockNumberOf, type RedoContext } from '../redo-context.ts';
import {
  addOrReplaceTuple,
  initSpgistPage,
  innerTuple,
  type Link,
  leafTuple,
  PLACEHOLDER,
  replaceWithRemains,
  SPGIST_LEAF,
  SPGIST_NULLS,
  STATE_REDIRECT,
  setNodeLink,
} from './spgist-page.ts';

/** Fields of `spgxlogPickSplit`; the lists of offset numbers follow at 28. */
const N_DELETE = 2;
const N_INSERT = 4;
const INIT_SOURCE = 6;
const INIT_DESTINATION = 7;
const INNER_OFFSET = 8;
const INIT_INNER = 10;
const STORES_NULLS = 11;
const INNER_IS_PARENT = 12;
const PARENT_OFFSET = 14;
const NODE_INDEX = 16;
const XID = 20;
const IS_BUILD = 24;
const LISTS = 28;

export function redoPicksplit(context: RedoContext): void {
  const { page, main, block } = context;
  const inner: Link = { block: blockNumberOf(context, 2), offset: main.u16(INNER_OFFSET) };
  const node = { offset: main.u16(PARENT_OFFSET), index: main.u16(NODE_INDEX) };
  switch (block.id) {
    case 0:
      redoSource(context, inner);
      insertLeafs(context);
      return;
    case 1:
      if (main.bool(INIT_DESTINATION)) initSpgistPage(page, SPGIST_LEAF | nullsFlag(context));
      insertLeafs(context);
      return;
    case 2:
      if (main.bool(INIT_INNER)) initSpgistPage(page, nullsFlag(context));
      addOrReplaceTuple(page, inner.offset, innerTuple(main, innerPlace(context)));
      if (main.bool(INNER_IS_PARENT)) setNodeLink(page, node, inner);
      return;
    default:
      setNodeLink(page, node, inner);
      return;
  }
}

function redoSource(context: RedoContext, inner: Link): void {
  const { page, main } = context;
  if (main.bool(INIT_SOURCE)) {
    initSpgistPage(page, SPGIST_LEAF | nullsFlag(context));
    return;
  }
  const redirect = { state: STATE_REDIRECT, link: inner, xid: main.u32(XID) };
  const first = main.bool(IS_BUILD) ? PLACEHOLDER : redirect;
  replaceWithRemains(page, main.offsets(LISTS, main.u16(N_DELETE)), { first, rest: PLACEHOLDER });
}

/** Behind the offset numbers a byte for each tuple tells whether it goes to the source (0) or the destination. */
function insertLeafs(context: RedoContext): void {
  const { page, main, block } = context;
  const offsetsAt = LISTS + 2 * main.u16(N_DELETE);
  const count = main.u16(N_INSERT);
  const selectAt = offsetsAt + 2 * count;
  let at = innerPlace(context);
  at += innerTuple(main, at).length;
  for (let index = 0; index < count; index++) {
    const tuple = leafTuple(main, at);
    const toDestination = main.bool(selectAt + index);
    if (toDestination === (block.id === 1)) addOrReplaceTuple(page, main.u16(offsetsAt + 2 * index), tuple);
    at += tuple.length;
  }
}

function innerPlace({ main }: RedoContext): number {
  const inserted = main.u16(N_INSERT);
  return LISTS + 2 * main.u16(N_DELETE) + 3 * inserted;
}

function nullsFlag({ main }: RedoContext): number {
  return main.bool(STORES_NULLS) ? SPGIST_NULLS : 0;
}
