import { isNewPage, type Lsn } from '@neon-snapshot/postgres';
import { Bytes, setU8, u8 } from '../bytes.ts';
import { CONTENTS, stampLsn } from '../page/header.ts';
import { HEAP_BLOCKS_PER_PAGE, truncateVisibilityMapPage } from '../page/visibility-map.ts';

/** ClearVisibilityMapFlags. Unlike Postgres' redo Neon stamps the page with the LSN, and leaves a new page new. */
export function clearVisibilityMapFlags(
  page: Uint8Array,
  record: {
    readonly newHeapBlock: number | undefined;
    readonly oldHeapBlock: number | undefined;
    readonly flags: number;
  },
  lsn: Lsn,
): Uint8Array {
  const bytes = new Bytes(page);
  for (const heapBlock of [record.newHeapBlock, record.oldHeapBlock]) {
    if (heapBlock === undefined) continue;
    const at = CONTENTS + ((heapBlock % HEAP_BLOCKS_PER_PAGE) >> 2);
    setU8(bytes, at, u8(bytes, at) & ~(record.flags << ((heapBlock & 3) * 2)));
  }
  if (!isNewPage(page)) stampLsn(bytes, Number(lsn >> 32n), Number(lsn & 0xffff_ffffn));
  return page;
}

/** TruncateVisibilityMap: what is behind the cut becomes 0. */
export function truncateVisibilityMap(
  page: Uint8Array,
  record: { readonly byte: bigint; readonly bitOffset: bigint },
): Uint8Array {
  truncateVisibilityMapPage(page, { byte: Number(record.byte), shift: Number(record.bitOffset) });
  return page;
}
