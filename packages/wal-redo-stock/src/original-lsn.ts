import { isNewPage, type Lsn, lsn } from '@neon-snapshot/postgres';

/** Special space of a GiST page: NSN as two u32 (high first); its last two bytes say what it is (gist.h). */
const GIST_SPECIAL_START = 8176;
const GIST_PAGE_ID = 0xff81;
const GIST_PAGE_ID_AT = 8190;
const SPECIAL_AT = 16;

export interface ScratchLsns {
  /** Where the scratch WAL begins: no LSN of the page's own is that great. */
  readonly start: Lsn;
  /** Scratch ends of records to their own. */
  readonly lsns: ReadonlyMap<Lsn, Lsn>;
}

/**
 * Puts back the LSNs that replay at other places left on a page: pd_lsn and, in GiST, the NSN. False where pd_lsn is one of
 * the scratch WAL that no record of the page ends at.
 */
export function restoreLsns(page: Uint8Array, scratch: ScratchLsns): boolean {
  if (isNewPage(page)) return true;
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const isGist =
    view.getUint16(SPECIAL_AT, true) === GIST_SPECIAL_START &&
    view.getUint16(GIST_PAGE_ID_AT, true) === GIST_PAGE_ID;
  const isKnown = restoreAt(view, 0, scratch);
  return isGist ? restoreAt(view, GIST_SPECIAL_START, scratch) && isKnown : isKnown;
}

function restoreAt(view: DataView, at: number, { lsns, start }: ScratchLsns): boolean {
  const found = lsn((BigInt(view.getUint32(at, true)) << 32n) | BigInt(view.getUint32(at + 4, true)));
  const original = lsns.get(found);
  if (original === undefined) return found < start;
  view.setUint32(at, Number(original >> 32n), true);
  view.setUint32(at + 4, Number(original & 0xffff_ffffn), true);
  return true;
}
