import type { Lsn } from './lsn.ts';
import { assertPostgresMajor } from './postgres-major.ts';
import { decodeStruct, encodeStruct, type StructField } from './struct-layout.ts';

/** Postgres' `CheckPoint` (pg_control.h): in pg_control, in checkpoint records, and as Neon's checkpoint value. */
export interface CheckPoint {
  /** Where replay from this checkpoint begins; equals the record's own start in a shutdown checkpoint. */
  readonly redo: Lsn;
  readonly thisTimeLineId: number;
  readonly prevTimeLineId: number;
  readonly fullPageWrites: boolean;
  /** 0 minimal, 1 replica, 2 logical. Majors 17 and 18 only. */
  readonly walLevel?: number;
  /** Full transaction id: epoch in the high half. */
  readonly nextXid: bigint;
  readonly nextOid: number;
  readonly nextMulti: number;
  readonly nextMultiOffset: number;
  readonly oldestXid: number;
  readonly oldestXidDb: number;
  readonly oldestMulti: number;
  readonly oldestMultiDb: number;
  /** Unix seconds. */
  readonly time: bigint;
  readonly oldestCommitTsXid: number;
  readonly newestCommitTsXid: number;
  /** 0 in a shutdown checkpoint. */
  readonly oldestActiveXid: number;
}

/** `sizeof(CheckPoint)`, equal in majors 14 to 18. */
export const CHECK_POINT_SIZE = 88;

const LAYOUT = [
  { name: 'redo', type: 'lsn', offset: 0 },
  { name: 'thisTimeLineId', type: 'u32', offset: 8 },
  { name: 'prevTimeLineId', type: 'u32', offset: 12 },
  { name: 'fullPageWrites', type: 'bool', offset: 16 },
  { name: 'nextXid', type: 'u64', offset: 24 },
  { name: 'nextOid', type: 'u32', offset: 32 },
  { name: 'nextMulti', type: 'u32', offset: 36 },
  { name: 'nextMultiOffset', type: 'u32', offset: 40 },
  { name: 'oldestXid', type: 'u32', offset: 44 },
  { name: 'oldestXidDb', type: 'u32', offset: 48 },
  { name: 'oldestMulti', type: 'u32', offset: 52 },
  { name: 'oldestMultiDb', type: 'u32', offset: 56 },
  { name: 'time', type: 'i64', offset: 64 },
  { name: 'oldestCommitTsXid', type: 'u32', offset: 72 },
  { name: 'newestCommitTsXid', type: 'u32', offset: 76 },
  { name: 'oldestActiveXid', type: 'u32', offset: 80 },
] as const satisfies readonly StructField[];

const WAL_LEVEL = [{ name: 'walLevel', type: 'i32', offset: 20 }] as const satisfies readonly StructField[];
const WAL_LEVEL_SINCE_MAJOR = 17;

/** The fields of a major in order of their offsets. */
export function checkPointLayout(major: number): readonly StructField[] {
  if (assertPostgresMajor(major) < WAL_LEVEL_SINCE_MAJOR) return LAYOUT;
  return [...LAYOUT, ...WAL_LEVEL].sort((a, b) => a.offset - b.offset);
}

/** Decodes the first 88 bytes; padding is ignored. Throws `POSTGRES_TRUNCATED` or `POSTGRES_INVALID`. */
export function decodeCheckPoint(bytes: Uint8Array, major: number): CheckPoint {
  const operation = 'decode CheckPoint';
  const common = decodeStruct(LAYOUT, bytes, { operation });
  // The trailing padding belongs to the structure: all 88 bytes have to be there.
  decodeStruct([{ name: 'padding', type: 'u32', offset: CHECK_POINT_SIZE - 4 }], bytes, { operation });
  if (assertPostgresMajor(major) < WAL_LEVEL_SINCE_MAJOR) return common;
  return { ...common, ...decodeStruct(WAL_LEVEL, bytes, { operation }) };
}

/** Encodes to 88 bytes with zero padding. `walLevel` is needed from major 17 on and ignored before. */
export function encodeCheckPoint(checkPoint: CheckPoint, major: number): Uint8Array {
  const operation = 'encode CheckPoint';
  const bytes = new Uint8Array(CHECK_POINT_SIZE);
  encodeStruct(LAYOUT, checkPoint, { bytes, operation });
  if (assertPostgresMajor(major) >= WAL_LEVEL_SINCE_MAJOR) {
    encodeStruct(WAL_LEVEL, { walLevel: checkPoint.walLevel ?? Number.NaN }, { bytes, operation });
  }
  return bytes;
}
