/**
 * `global/pg_control` (ControlFileData of pg_control.h): 8192 bytes, little-endian, zero padded. Only the first
 * 292 (14 to 17) or 296 bytes (18) matter; a CRC-32C over everything before it ends them.
 */
import { CHECK_POINT_SIZE, type CheckPoint, decodeCheckPoint, encodeCheckPoint } from './check-point.ts';
import {
  CONTROL_FILE_HEAD_LAYOUT,
  CONTROL_FILE_LAYOUT,
  CONTROL_FILE_OFFSETS,
  CONTROL_FILE_SIZE,
  CONTROL_FILE_SIZE_MIN,
  NONCE_LAYOUT,
  SIGNEDNESS_LAYOUT,
  SIGNEDNESS_SINCE_MAJOR,
} from './control-file-layout.ts';
import { crc32c } from './crc32c.ts';
import type { Lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';
import { controlVersionOf, majorOfCatalogVersion, SUPPORTED_MAJORS } from './postgres-major.ts';
import { decodeStruct, encodeStruct } from './struct-layout.ts';

/** The fields of pg_control without its CRC. Sizes are bytes, times Unix seconds. */
export interface ControlFile {
  readonly systemIdentifier: bigint;
  /** 1300 (majors 14 to 16), 1700 or 1800. */
  readonly controlVersion: number;
  readonly catalogVersion: number;
  /** An index into {@link clusterStates}. */
  readonly state: number;
  readonly time: bigint;
  /** Start of the last checkpoint record. */
  readonly checkPoint: Lsn;
  readonly checkPointCopy: CheckPoint;
  readonly unloggedLsn: Lsn;
  readonly minRecoveryPoint: Lsn;
  readonly minRecoveryPointTimeLineId: number;
  readonly backupStartPoint: Lsn;
  readonly backupEndPoint: Lsn;
  readonly backupEndRequired: boolean;
  /** 0 minimal, 1 replica, 2 logical. */
  readonly walLevel: number;
  readonly walLogHints: boolean;
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedXacts: number;
  readonly maxLocksPerXact: number;
  readonly trackCommitTimestamp: boolean;
  readonly maxAlign: number;
  readonly floatFormat: number;
  readonly blockSizeBytes: number;
  readonly relationSegmentBlocks: number;
  readonly walBlockSizeBytes: number;
  readonly walSegmentSizeBytes: number;
  readonly nameDataLen: number;
  readonly indexMaxKeys: number;
  readonly toastMaxChunkSize: number;
  readonly largeObjectBlockSize: number;
  readonly float8ByVal: boolean;
  /** 0 off, 1 on. */
  readonly dataChecksumVersion: number;
  /** Major 18 only. */
  readonly defaultCharSignedness?: boolean;
  /** 32 bytes. */
  readonly mockAuthenticationNonce: Uint8Array;
}

/** `DBState` of pg_control.h. */
export const CLUSTER_STATE = {
  startup: 0,
  shutDown: 1,
  shutDownInRecovery: 2,
  shuttingDown: 3,
  inCrashRecovery: 4,
  inArchiveRecovery: 5,
  inProduction: 6,
} as const;

/** Texts of {@link CLUSTER_STATE}, by number, as `pg_controldata` prints them. */
export const clusterStates: readonly string[] = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
];

/**
 * Decodes pg_control; at least its first 296 bytes have to be there.
 * Throws `POSTGRES_TRUNCATED`, `POSTGRES_UNSUPPORTED_VERSION`, `POSTGRES_CHECKSUM` or `POSTGRES_INVALID`.
 */
export function decodeControlFile(bytes: Uint8Array): ControlFile {
  const operation = 'decode pg_control';
  assertSize(bytes, operation);
  const head = decodeStruct(CONTROL_FILE_HEAD_LAYOUT, bytes, { operation });
  const major = assertVersions(head, operation);
  assertCrc(bytes, { crcOffset: CONTROL_FILE_OFFSETS[major].crc, operation });
  const fields = decodeStruct(CONTROL_FILE_LAYOUT, bytes, { operation });
  if (fields.state >= clusterStates.length) throw invalidState(fields.state, operation);
  const nonceOffset = CONTROL_FILE_OFFSETS[major].nonce;
  return {
    ...head,
    ...fields,
    checkPointCopy: decodeCheckPoint(
      bytes.subarray(
        CONTROL_FILE_OFFSETS.checkPointCopy,
        CONTROL_FILE_OFFSETS.checkPointCopy + CHECK_POINT_SIZE,
      ),
      major,
    ),
    ...(major >= SIGNEDNESS_SINCE_MAJOR ? decodeStruct(SIGNEDNESS_LAYOUT, bytes, { operation }) : {}),
    ...decodeStruct(NONCE_LAYOUT, bytes, { operation, baseOffset: nonceOffset }),
  };
}

/** Encodes to 8192 bytes with the right CRC. Throws `POSTGRES_OUT_OF_RANGE` or `POSTGRES_UNSUPPORTED_VERSION`. */
export function encodeControlFile(controlFile: ControlFile): Uint8Array {
  const operation = 'encode pg_control';
  const major = assertVersions(controlFile, operation);
  const { crc, nonce, checkPointCopy } = { ...CONTROL_FILE_OFFSETS, ...CONTROL_FILE_OFFSETS[major] };
  const bytes = new Uint8Array(CONTROL_FILE_SIZE);
  encodeStruct(CONTROL_FILE_HEAD_LAYOUT, controlFile, { bytes, operation });
  encodeStruct(CONTROL_FILE_LAYOUT, controlFile, { bytes, operation });
  bytes.set(encodeCheckPoint(controlFile.checkPointCopy, major), checkPointCopy);
  if (major >= SIGNEDNESS_SINCE_MAJOR) {
    const defaultCharSignedness = controlFile.defaultCharSignedness ?? true;
    encodeStruct(SIGNEDNESS_LAYOUT, { defaultCharSignedness }, { bytes, operation });
  }
  encodeStruct(NONCE_LAYOUT, controlFile, { bytes, operation, baseOffset: nonce });
  new DataView(bytes.buffer).setUint32(crc, crc32c(bytes.subarray(0, crc)), true);
  return bytes;
}

function assertSize(bytes: Uint8Array, operation: string): void {
  if (bytes.length >= CONTROL_FILE_SIZE_MIN) return;
  throw new PostgresFormatError({
    code: 'POSTGRES_TRUNCATED',
    operation,
    message: `pg_control has ${bytes.length} bytes; expected at least ${CONTROL_FILE_SIZE_MIN}`,
    context: { size: bytes.length, sizeMin: CONTROL_FILE_SIZE_MIN },
  });
}

function assertVersions(
  head: { readonly controlVersion: number; readonly catalogVersion: number },
  operation: string,
): (typeof SUPPORTED_MAJORS)[number] {
  const { controlVersion, catalogVersion } = head;
  const known = SUPPORTED_MAJORS.some((major) => controlVersionOf(major) === controlVersion);
  const major = known ? majorOfCatalogVersion(catalogVersion) : undefined;
  if (major !== undefined && controlVersionOf(major) === controlVersion) return major;
  const versions = [...new Set(SUPPORTED_MAJORS.map(controlVersionOf))];
  const supported = versions
    .map((version) => {
      const majors = SUPPORTED_MAJORS.filter((m) => controlVersionOf(m) === version);
      return `${version} (Postgres ${majors.join(', ')})`;
    })
    .join(', ');
  throw new PostgresFormatError({
    code: 'POSTGRES_UNSUPPORTED_VERSION',
    operation,
    message: `pg_control has version ${controlVersion} with catalog version ${catalogVersion}; supported versions: ${supported}`,
    context: { controlVersion, catalogVersion },
  });
}

function assertCrc(
  bytes: Uint8Array,
  where: { readonly crcOffset: number; readonly operation: string },
): void {
  const found = new DataView(bytes.buffer, bytes.byteOffset).getUint32(where.crcOffset, true);
  const expected = crc32c(bytes.subarray(0, where.crcOffset));
  if (found === expected) return;
  throw new PostgresFormatError({
    code: 'POSTGRES_CHECKSUM',
    operation: where.operation,
    message: `pg_control is corrupt: CRC-32C at offset ${where.crcOffset} is ${hex(found)}, computed ${hex(expected)}`,
    context: { found, expected },
  });
}

function invalidState(state: number, operation: string): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_INVALID',
    operation,
    message: `pg_control has cluster state ${state}; expected 0 to ${clusterStates.length - 1}`,
    context: { state },
  });
}

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
