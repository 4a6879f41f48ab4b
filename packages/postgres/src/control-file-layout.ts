import type { PostgresMajor } from './postgres-major.ts';
import type { StructField } from './struct-layout.ts';

/** `PG_CONTROL_FILE_SIZE` of pg_control.h. */
export const CONTROL_FILE_SIZE = 8192;

/** Bytes that hold the fields of every supported major. */
export const CONTROL_FILE_SIZE_MIN = 296;

/** Enough to choose the rest of the layout. */
export const CONTROL_FILE_HEAD_LAYOUT = [
  { name: 'systemIdentifier', type: 'u64', offset: 0 },
  { name: 'controlVersion', type: 'u32', offset: 8 },
  { name: 'catalogVersion', type: 'u32', offset: 12 },
] as const satisfies readonly StructField[];

/** Fields at the same place in majors 14 to 18; `checkPointCopy` lies between the third and the fourth. */
export const CONTROL_FILE_LAYOUT = [
  { name: 'state', type: 'u32', offset: 16 },
  { name: 'time', type: 'i64', offset: 24 },
  { name: 'checkPoint', type: 'lsn', offset: 32 },
  { name: 'unloggedLsn', type: 'lsn', offset: 128 },
  { name: 'minRecoveryPoint', type: 'lsn', offset: 136 },
  { name: 'minRecoveryPointTimeLineId', type: 'u32', offset: 144 },
  { name: 'backupStartPoint', type: 'lsn', offset: 152 },
  { name: 'backupEndPoint', type: 'lsn', offset: 160 },
  { name: 'backupEndRequired', type: 'bool', offset: 168 },
  { name: 'walLevel', type: 'i32', offset: 172 },
  { name: 'walLogHints', type: 'bool', offset: 176 },
  { name: 'maxConnections', type: 'i32', offset: 180 },
  { name: 'maxWorkerProcesses', type: 'i32', offset: 184 },
  { name: 'maxWalSenders', type: 'i32', offset: 188 },
  { name: 'maxPreparedXacts', type: 'i32', offset: 192 },
  { name: 'maxLocksPerXact', type: 'i32', offset: 196 },
  { name: 'trackCommitTimestamp', type: 'bool', offset: 200 },
  { name: 'maxAlign', type: 'u32', offset: 204 },
  { name: 'floatFormat', type: 'f64', offset: 208 },
  { name: 'blockSizeBytes', type: 'u32', offset: 216 },
  { name: 'relationSegmentBlocks', type: 'u32', offset: 220 },
  { name: 'walBlockSizeBytes', type: 'u32', offset: 224 },
  { name: 'walSegmentSizeBytes', type: 'u32', offset: 228 },
  { name: 'nameDataLen', type: 'u32', offset: 232 },
  { name: 'indexMaxKeys', type: 'u32', offset: 236 },
  { name: 'toastMaxChunkSize', type: 'u32', offset: 240 },
  { name: 'largeObjectBlockSize', type: 'u32', offset: 244 },
  { name: 'float8ByVal', type: 'bool', offset: 248 },
  { name: 'dataChecksumVersion', type: 'u32', offset: 252 },
] as const satisfies readonly StructField[];

export const SIGNEDNESS_SINCE_MAJOR = 18;
export const SIGNEDNESS_LAYOUT = [
  { name: 'defaultCharSignedness', type: 'bool', offset: 256 },
] as const satisfies readonly StructField[];

/** Relative to the major's `nonce` offset. */
export const NONCE_LAYOUT = [
  { name: 'mockAuthenticationNonce', type: 'bytes32', offset: 0 },
] as const satisfies readonly StructField[];

interface TailOffsets {
  readonly nonce: number;
  readonly crc: number;
}

const TAIL: TailOffsets = { nonce: 256, crc: 288 };
const TAIL_SINCE_18: TailOffsets = { nonce: 257, crc: 292 };

export const CONTROL_FILE_OFFSETS: Readonly<Record<PostgresMajor, TailOffsets>> & {
  readonly checkPointCopy: number;
} = { checkPointCopy: 40, 14: TAIL, 15: TAIL, 16: TAIL, 17: TAIL, 18: TAIL_SINCE_18 };
