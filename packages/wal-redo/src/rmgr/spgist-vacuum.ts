/** VACUUM_LEAF and VACUUM_REDIRECT (spgxlog.c). */
import type { Bytes } from '../bytes.ts';
import { deleteItems } from '../page/delete-item.ts';
import { linePointer, maxOffsetNumber, setLinePointer } from '../page/line-pointer.ts';
import type { RedoContext } from '../redo-context.ts';
import {
  addPlaceholders,
  DEAD,
  PLACEHOLDER,
  redirectToPlaceholder,
  replaceWithRemains,
  setNextOffset,
} from './spgist-page.ts';

/** nDead, nPlaceholder, nMove, nChain u16; lists at 16: dead, placeholders, move from, move to, chain of, chain to. */
export function redoVacuumLeaf({ page, main }: RedoContext): void {
  const counts = { dead: main.u16(0), placeholders: main.u16(2), moves: main.u16(4), chains: main.u16(6) };
  let at = 16;
  const take = (count: number): number[] => {
    const offsets = main.offsets(at, count);
    at += 2 * count;
    return offsets;
  };
  const dead = take(counts.dead);
  const placeholders = take(counts.placeholders);
  const movedFrom = take(counts.moves);
  const movedTo = take(counts.moves);
  const chainOf = take(counts.chains);
  const chainTo = take(counts.chains);
  replaceWithRemains(page, dead, { first: DEAD, rest: DEAD });
  replaceWithRemains(page, placeholders, { first: PLACEHOLDER, rest: PLACEHOLDER });
  for (const [index, from] of movedFrom.entries()) swapLinePointers(page, from, movedTo[index] ?? 0);
  replaceWithRemains(page, movedFrom, { first: PLACEHOLDER, rest: PLACEHOLDER });
  for (const [index, offset] of chainOf.entries()) setNextOffset(page, offset, chainTo[index] ?? 0);
}

/** nToPlaceholder, firstPlaceholder u16, xid u32; offset numbers behind. */
export function redoVacuumRedirect({ page, main, settings }: RedoContext): void {
  const count = main.u16(0);
  const firstPlaceholder = main.u16(2);
  for (const offset of main.offsets(settings.differences.spgistRedirectOffsets, count)) {
    redirectToPlaceholder(page, offset);
  }
  if (firstPlaceholder === 0) return;
  const trailing: number[] = [];
  for (let offset = firstPlaceholder; offset <= maxOffsetNumber(page); offset++) trailing.push(offset);
  addPlaceholders(page, -trailing.length);
  deleteItems(page, trailing);
}

function swapLinePointers(page: Bytes, a: number, b: number): void {
  const first = linePointer(page, a);
  setLinePointer(page, a, linePointer(page, b));
  setLinePointer(page, b, first);
}
