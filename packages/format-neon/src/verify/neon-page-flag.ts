import { PAGE_FLAG } from '@neon-snapshot/postgres';

/** Offset of the low byte of `pd_flags` in PageHeaderData. */
const PD_FLAGS_OFFSET = 10;

/** Old pages of Neon's have a bit in `pd_flags` that stock Postgres refuses and an export clears. A copy where it was set. */
export function withoutNeonFlag(page: Uint8Array): Uint8Array {
  const flags = page[PD_FLAGS_OFFSET] ?? 0;
  if ((flags & PAGE_FLAG.walLogged) === 0) return page;
  const clean = Uint8Array.from(page);
  clean[PD_FLAGS_OFFSET] = flags & ~PAGE_FLAG.walLogged;
  return clean;
}
