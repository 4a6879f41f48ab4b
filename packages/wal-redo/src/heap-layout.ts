/**
 * Where the fields of heap records lie. Stock: heapam_xlog.h. Neon's Postgres 14 and 15 carry t_cid in the stock resource
 * managers' records (heapam_xlog.h of its fork); its 16 and 17 use a resource manager of their own, 134 (neon_xlog.h).
 * Pad bytes hold garbage, so nothing is read across them.
 */

/** Whose Postgres wrote the WAL. Records do not tell: the wrong one raises no error and ruins pages. */
export type HeapLayout = 'stock' | 'neon';

export interface HeapRecordLayout {
  /** True: t_cid and HEAP_COMBOCID come from the record. False: t_cid becomes 0 and the bit is cleared. */
  readonly carriesCid: boolean;
  /** Infomasks, t_cid where there is one, t_hoff. */
  readonly tupleHeaderSize: number;
  readonly delete: {
    readonly offset: number;
    readonly infobits: number;
    readonly flags: number;
    readonly cid: number;
  };
  readonly update: { readonly cid: number; readonly newXmax: number; readonly newOffset: number };
  readonly lock: {
    readonly offset: number;
    readonly infobits: number;
    readonly flags: number;
    readonly cid: number;
  };
  readonly multiInsert: {
    /** Of the offset numbers in the main data. */
    readonly offsets: number;
    /** `main`: one t_cid for all tuples; `tuple`: each tuple has its own. */
    readonly cidIn: 'none' | 'main' | 'tuple';
    readonly tupleHeaderSize: number;
  };
}

const NO_CID = -1;

const STOCK_HEAP: HeapRecordLayout = {
  carriesCid: false,
  tupleHeaderSize: 5,
  delete: { offset: 4, infobits: 6, flags: 7, cid: NO_CID },
  update: { cid: NO_CID, newXmax: 8, newOffset: 12 },
  lock: { offset: 4, infobits: 6, flags: 7, cid: NO_CID },
  multiInsert: { offsets: 4, cidIn: 'none', tupleHeaderSize: 7 },
};

/** Resource managers 9 and 10 of Neon's 14 and 15. */
const NEON_PATCHED_HEAP: HeapRecordLayout = {
  carriesCid: true,
  tupleHeaderSize: 9,
  delete: { offset: 4, infobits: 12, flags: 13, cid: 8 },
  update: { cid: 8, newXmax: 12, newOffset: 16 },
  lock: { offset: 4, infobits: 12, flags: 13, cid: 8 },
  multiInsert: { offsets: 4, cidIn: 'tuple', tupleHeaderSize: 13 },
};

/** Resource manager 134 of Neon's 16 and 17. */
export const NEON_RMGR_HEAP: HeapRecordLayout = {
  carriesCid: true,
  tupleHeaderSize: 9,
  delete: { offset: 4, infobits: 6, flags: 7, cid: 8 },
  update: { cid: 8, newXmax: 12, newOffset: 16 },
  lock: { offset: 8, infobits: 10, flags: 11, cid: 4 },
  multiInsert: { offsets: 8, cidIn: 'main', tupleHeaderSize: 7 },
};

/** Id of Neon's resource manager. */
export const NEON_RMGR = 134;

/** Layout of the records of resource managers 9 and 10. */
export function heapRecordLayout(major: number, heapLayout: HeapLayout): HeapRecordLayout {
  return heapLayout === 'neon' && major < 16 ? NEON_PATCHED_HEAP : STOCK_HEAP;
}
