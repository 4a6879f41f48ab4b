/** What differs between the majors' records and redo, as data. Sources: the `*xlog.h` headers and redo of each. */
export interface MajorDifferences {
  /** `PageRepairFragmentation` drops unused line pointers at the end of the array. */
  readonly pruneDropsLinePointers: boolean;
  /** heap2 0x30: one freeze entry per tuple, plans shared by tuples, or (17) part of the prune record. */
  readonly freeze: 'per-tuple' | 'plans' | 'with-prune';
  /** gist DELETE: where the offset numbers begin. */
  readonly gistDeleteOffsets: number;
  /** spgist VACUUM_REDIRECT: where the offset numbers begin. */
  readonly spgistRedirectOffsets: number;
  /** hash VACUUM_ONE_PAGE: the count is a u16 with isCatalogRel behind it, no i32. */
  readonly hashVacuumCountBytes: 2 | 4;
  /** hash SQUEEZE_PAGE leaves pd_lsn of a write page alone that it doesn't change. */
  readonly hashSqueezeSparesUnchanged: boolean;
  /** heap2 VISIBLE flags may have a bit that says it is a catalog. */
  readonly visibleFlagsMask: number;
}

const SINCE_14: MajorDifferences = {
  pruneDropsLinePointers: false,
  freeze: 'per-tuple',
  gistDeleteOffsets: 6,
  spgistRedirectOffsets: 8,
  hashVacuumCountBytes: 4,
  hashSqueezeSparesUnchanged: false,
  visibleFlagsMask: 3,
};
const SINCE_15: MajorDifferences = { ...SINCE_14, pruneDropsLinePointers: true };
const SINCE_16: MajorDifferences = {
  ...SINCE_15,
  freeze: 'plans',
  gistDeleteOffsets: 8,
  spgistRedirectOffsets: 10,
  hashVacuumCountBytes: 2,
};
const SINCE_17: MajorDifferences = { ...SINCE_16, freeze: 'with-prune', hashSqueezeSparesUnchanged: true };

const DIFFERENCES: Readonly<Record<number, MajorDifferences>> = {
  14: SINCE_14,
  15: SINCE_15,
  16: SINCE_16,
  17: SINCE_17,
};

export const REDO_MAJORS: readonly number[] = Object.keys(DIFFERENCES).map(Number);

export function majorDifferences(major: number): MajorDifferences | undefined {
  return DIFFERENCES[major];
}
