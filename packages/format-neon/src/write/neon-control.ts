/** The control file and checkpoint that a Neon timeline stores for a cleanly stopped cluster. */
import { FormatError, type SnapshotInfo } from '@neon-snapshot/format-core';
import {
  type CheckPoint,
  type ControlFile,
  decodeControlFile,
  encodeCheckPoint,
  encodeControlFile,
} from '@neon-snapshot/postgres';

/** Neon's WAL and its computes know no other TimeLineID. */
export const NEON_TIME_LINE_ID = 1;

const XID_MASK = 0xffff_ffffn;

export interface NeonControl {
  /** Value of the control-file key: 8192 bytes. */
  readonly controlFile: Uint8Array;
  /** Value of the checkpoint key: 88 bytes. */
  readonly checkpoint: Uint8Array;
}

export interface NeonControlSource {
  /** The whole `global/pg_control`. */
  readonly bytes: Uint8Array;
  readonly info: SnapshotInfo;
  /** Of the prepared transactions. */
  readonly preparedXids: readonly bigint[];
  /** Of a base backup: the checkpoint with which it began, which that of pg_control may have followed since. */
  readonly beginning?: CheckPoint | undefined;
}

/**
 * The control file stays as it came, but for TimeLineIDs other than 1: a page server sends it to computes, whose WAL is on 1.
 * The checkpoint says `redo = lsn`, by which a page server knows the shutdown as clean, and names an oldest active
 * transaction, as its own ingest does (spec §7.4, §8.4); a base backup's is the one with which it began. Throws `FORMAT_INVALID` when it is not the snapshot's.
 */
export function toNeonControl({ bytes, info, preparedXids, beginning }: NeonControlSource): NeonControl {
  const control = decodeControlFile(bytes);
  if (control.systemIdentifier !== info.systemIdentifier) {
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'write pg_control',
      message: `pg_control has system identifier ${control.systemIdentifier}; the snapshot has ${info.systemIdentifier}`,
    });
  }
  const checkPoint = onNeonTimeLine(control.checkPointCopy);
  return {
    controlFile: toStoredControlFile(bytes, { ...control, checkPointCopy: checkPoint }),
    checkpoint: encodeCheckPoint(
      beginning === undefined
        ? {
            ...checkPoint,
            redo: info.lsn,
            oldestActiveXid: checkPoint.oldestActiveXid || oldestXidOf(checkPoint.nextXid, preparedXids),
          }
        : onNeonTimeLine(beginning),
      info.postgresMajor,
    ),
  };
}

function toStoredControlFile(original: Uint8Array, control: ControlFile): Uint8Array {
  const isUnchanged = decodeControlFile(original).checkPointCopy.thisTimeLineId === NEON_TIME_LINE_ID;
  return isUnchanged ? original : encodeControlFile({ ...control, minRecoveryPointTimeLineId: 0 });
}

function onNeonTimeLine(checkPoint: CheckPoint): CheckPoint {
  return { ...checkPoint, thisTimeLineId: NEON_TIME_LINE_ID, prevTimeLineId: NEON_TIME_LINE_ID };
}

/** The oldest prepared transaction, or the next one to come: 32-bit ids compare by how far they lie before the next. */
function oldestXidOf(nextXid: bigint, preparedXids: readonly bigint[]): number {
  const age = (xid: bigint) => BigInt.asIntN(32, nextXid - xid);
  const oldest = preparedXids.reduce((best, xid) => (age(xid) > age(best) ? xid : best), nextXid);
  return Number(oldest & XID_MASK);
}
