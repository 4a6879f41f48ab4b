/** Resource manager 16, SPGist (spgxlog.c, spgxlog.h). Picksplit and vacuum are in files of their own. */
import { insertItem } from '../page/add-item.ts';
import { deleteItem, deleteItems } from '../page/delete-item.ts';
import { blockNumberOf, type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';
import {
  addOrReplaceTuple,
  addPlaceholders,
  addRedirections,
  initSpgistPage,
  innerTuple,
  insertRemains,
  type Link,
  leafTuple,
  PLACEHOLDER,
  replaceWithRemains,
  SPGIST_LEAF,
  SPGIST_NULLS,
  STATE_REDIRECT,
  setNextOffset,
  setNodeLink,
} from './spgist-page.ts';
import { redoPicksplit } from './spgist-picksplit.ts';
import { redoVacuumLeaf, redoVacuumRedirect } from './spgist-vacuum.ts';

/** `XLOG_SPGIST_*` */
const XLOG_SPGIST = {
  addLeaf: 0x10,
  moveLeafs: 0x20,
  addNode: 0x30,
  splitTuple: 0x40,
  picksplit: 0x50,
  vacuumLeaf: 0x60,
  vacuumRoot: 0x70,
  vacuumRedirect: 0x80,
} as const;

export const spgist: ResourceManager = {
  operations: XLOG_SPGIST,
  operationMask: 0xf0,
  redo(context) {
    const { page, main } = context;
    switch (context.info & 0xf0) {
      case XLOG_SPGIST.addLeaf:
        return redoAddLeaf(context);
      case XLOG_SPGIST.moveLeafs:
        return redoMoveLeafs(context);
      case XLOG_SPGIST.addNode:
        return redoAddNode(context);
      case XLOG_SPGIST.splitTuple:
        return redoSplitTuple(context);
      case XLOG_SPGIST.picksplit:
        return redoPicksplit(context);
      case XLOG_SPGIST.vacuumLeaf:
        return redoVacuumLeaf(context);
      case XLOG_SPGIST.vacuumRoot:
        return deleteItems(page, main.offsets(12, main.u16(0)));
      case XLOG_SPGIST.vacuumRedirect:
        return redoVacuumRedirect(context);
      default:
        throw unsupportedRecord(context);
    }
  },
};

/** newPage, storesNulls bool; leaf, head leaf, parent offset, node index u16; the tuple at 10. 0 the leaf, 1 its parent. */
function redoAddLeaf(context: RedoContext): void {
  const { page, main, block } = context;
  const leafOffset = main.u16(2);
  const headOffset = main.u16(4);
  if (block.id === 1) {
    const node = { offset: main.u16(6), index: main.u16(8) };
    setNodeLink(page, node, { block: blockNumberOf(context, 0), offset: leafOffset });
    return;
  }
  const tuple = leafTuple(main, 10);
  if (main.bool(0)) initSpgistPage(page, SPGIST_LEAF | (main.bool(1) ? SPGIST_NULLS : 0));
  if (leafOffset === headOffset) {
    // A dead tuple that heads its chain is replaced.
    deleteItem(page, leafOffset);
    insertItem(page, leafOffset, tuple);
    return;
  }
  addOrReplaceTuple(page, leafOffset, tuple);
  if (headOffset !== 0) setNextOffset(page, headOffset, leafOffset);
}

/** nMoves u16; newPage, replaceDead, storesNulls bool; parent offset at 6, node index; xid at 12, isBuild; lists at 20. */
function redoMoveLeafs(context: RedoContext): void {
  const { page, main, block } = context;
  const moved = main.u16(0);
  const inserted = main.bool(3) ? 1 : moved + 1;
  const insertAt = 20 + 2 * moved;
  const lastInserted = main.u16(insertAt + 2 * (inserted - 1));
  const target: Link = { block: blockNumberOf(context, 1), offset: lastInserted };
  if (block.id === 0) {
    const redirect = { state: STATE_REDIRECT, link: target, xid: main.u32(12) };
    const first = main.bool(16) ? PLACEHOLDER : redirect;
    replaceWithRemains(page, main.offsets(20, moved), { first, rest: PLACEHOLDER });
  } else if (block.id === 1) {
    if (main.bool(2)) initSpgistPage(page, SPGIST_LEAF | (main.bool(4) ? SPGIST_NULLS : 0));
    let at = insertAt + 2 * inserted;
    for (let index = 0; index < inserted; index++) {
      const tuple = leafTuple(main, at);
      addOrReplaceTuple(page, main.u16(insertAt + 2 * index), tuple);
      at += tuple.length;
    }
  } else setNodeLink(page, { offset: main.u16(6), index: main.u16(8) }, target);
}

/** offset, new offset u16; newPage bool, parentBlk i8; parent offset, node index u16; xid at 12, isBuild; tuple at 20. */
function redoAddNode(context: RedoContext): void {
  const { page, main, block, record } = context;
  const offset = main.u16(0);
  const newOffset = main.u16(2);
  const parent = main.i8(5);
  const tuple = innerTuple(main, 20);
  if (record.findBlock(1) === undefined) {
    deleteItem(page, offset);
    insertItem(page, offset, tuple);
    return;
  }
  const target: Link = { block: blockNumberOf(context, 1), offset: newOffset };
  if (block.id === 1) {
    if (main.bool(4)) initSpgistPage(page, 0);
    addOrReplaceTuple(page, newOffset, tuple);
  } else if (block.id === 0) {
    const isBuild = main.bool(16);
    deleteItem(page, offset);
    insertRemains(
      page,
      offset,
      isBuild ? PLACEHOLDER : { state: STATE_REDIRECT, link: target, xid: main.u32(12) },
    );
    if (isBuild) addPlaceholders(page, 1);
    else addRedirections(page, 1);
  }
  if (parent === block.id) setNodeLink(page, { offset: main.u16(6), index: main.u16(8) }, target);
}

/** Prefix and postfix offset u16; newPage, postfixBlkSame bool; the two tuples at 6. 0 the prefix' page, 1 the postfix'. */
function redoSplitTuple({ page, main, block }: RedoContext): void {
  const prefixOffset = main.u16(0);
  const postfixOffset = main.u16(2);
  const prefix = innerTuple(main, 6);
  const postfix = innerTuple(main, 6 + prefix.length);
  if (block.id === 1) {
    if (main.bool(4)) initSpgistPage(page, 0);
    addOrReplaceTuple(page, postfixOffset, postfix);
    return;
  }
  deleteItem(page, prefixOffset);
  insertItem(page, prefixOffset, prefix);
  if (main.bool(5)) addOrReplaceTuple(page, postfixOffset, postfix);
}
