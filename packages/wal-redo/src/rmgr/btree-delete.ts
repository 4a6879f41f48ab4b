/** DELETE and VACUUM (nbtxlog.c): whole tuples go, and posting lists get shorter. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { align8, copyBytes, newBytes } from '../bytes.ts';
import { deleteItems, overwriteItem } from '../page/delete-item.ts';
import { itemStart } from '../page/line-pointer.ts';
import { ITEM_POINTER_SIZE } from '../page/tuple.ts';
import type { RedoContext } from '../redo-context.ts';
import { invalidRecord } from '../redo-fault.ts';
import { BTP_HAS_GARBAGE, clearBtreeFlags } from './btree-page.ts';
import { formPosting, itemPointerAt, readPostingTuple } from './btree-posting.ts';

/** Main data: snapshot conflict xid, ndeleted, nupdated. */
export function redoDelete(context: RedoContext): void {
  deleteAndUpdate(context, { deleted: context.main.u16(4), updated: context.main.u16(6) });
}

/** Main data: ndeleted, nupdated. */
export function redoVacuum(context: RedoContext): void {
  deleteAndUpdate(context, { deleted: context.main.u16(0), updated: context.main.u16(2) });
}

/** Block data: offset numbers to delete, those to update, and for each of these a count and places in its list. */
function deleteAndUpdate(
  context: RedoContext,
  counts: { readonly deleted: number; readonly updated: number },
): void {
  const { page, data } = context;
  const { deleted, updated } = counts;
  let metadata = 2 * (deleted + updated);
  for (let index = 0; index < updated; index++) {
    const places = data.u16(metadata);
    shortenPosting(context, data.u16(2 * (deleted + index)), { at: metadata + 2, places });
    metadata += 2 + 2 * places;
  }
  if (deleted > 0) deleteItems(page, data.offsets(0, deleted));
  clearBtreeFlags(page, BTP_HAS_GARBAGE);
}

const kept = newBytes(BLCKSZ);

/** `_bt_update_posting` */
function shortenPosting(
  { page, data }: RedoContext,
  offset: number,
  gone: { readonly at: number; readonly places: number },
): void {
  const old = readPostingTuple(page, itemStart(page, offset));
  if (gone.places >= old.count) throw invalidRecord(`${gone.places} of ${old.count} item pointers are to go`);
  let next = 0;
  let to = 0;
  for (let index = 0; index < old.count; index++) {
    if (next < gone.places && data.u16(gone.at + 2 * next) === index) {
      next++;
      continue;
    }
    copyBytes(kept, to, page, itemPointerAt(old, index), ITEM_POINTER_SIZE);
    to += ITEM_POINTER_SIZE;
  }
  const { bytes, start, length } = formPosting(old, kept, old.count - gone.places);
  // The line pointer's length is the aligned one.
  overwriteItem(page, offset, { bytes, start, length: align8(length) });
}
