import {
  type BackupTrailer,
  FormatError,
  fileFault,
  type SnapshotInfo,
  type SnapshotTrailer,
} from '@neon-snapshot/format-core';
import {
  type BackupLabel,
  type CheckPoint,
  decodeBackupLabel,
  decodeControlFile,
  formatLsn,
  type Lsn,
  readCheckpointRecord,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import type { WalScratch } from './wal-scratch.ts';

/** Where the images of a snapshot lie: a base backup's at its start, anything else's at its end. */
export function imageLsnOf({ consistency, lsn }: SnapshotInfo): Lsn {
  return consistency.kind === 'needs-wal' ? consistency.fromLsn : lsn;
}

/** What is known of a base backup when all of it has come. */
export interface BackupSource {
  readonly start: Lsn;
  readonly timeLineId: number;
  /** Of the checkpoint with which it began. */
  readonly checkPoint: CheckPoint;
  /** The WAL up to here is needed at least. */
  readonly end: Lsn;
  /** Its server was no standby, and wrote a record when it ended. */
  readonly hasEndRecord: boolean;
}

/**
 * `FORMAT_INVALID` where the label is missing, damaged or another backup's, `FORMAT_TRUNCATED` without the checkpoint that it names,
 * `FORMAT_UNSUPPORTED` where the WAL is of several TimeLineIDs.
 */
export async function readBackupSource(
  info: SnapshotInfo,
  { controlFile, backup }: SnapshotTrailer,
  wal: WalScratch,
): Promise<BackupSource> {
  const label = decodeLabel(backup);
  const start = imageLsnOf(info);
  if (label.startWalLocation !== start) {
    throw invalid(
      `backup_label begins at ${formatLsn(label.startWalLocation)}, the backup at ${formatLsn(start)}`,
    );
  }
  const ranges = backup?.walRanges ?? [];
  const timeLineId = label.startTimeLineId;
  if (ranges.some((range) => range.timeLineId !== timeLineId)) throw severalTimeLines();
  const isStandby = label.backupFrom === 'standby';
  // What a standby wrote down last is where its copy becomes consistent.
  const ends = [...ranges.map(({ endLsn }) => endLsn), label.checkpointLocation];
  if (isStandby) ends.push(decodeControlFile(controlFile).minRecoveryPoint);
  return {
    start,
    timeLineId,
    checkPoint: await readCheckPoint(info, label, wal),
    end: latestOf(ends),
    hasEndRecord: !isStandby,
  };
}

function latestOf(lsns: readonly Lsn[]): Lsn {
  let latest = ZERO_LSN;
  for (const each of lsns) if (each > latest) latest = each;
  return latest;
}

function decodeLabel(backup: BackupTrailer | undefined): BackupLabel {
  if (backup === undefined) throw invalid('it came without its backup_label');
  try {
    return decodeBackupLabel(backup.label);
  } catch (error) {
    throw fileFault(error, { path: 'backup_label', url: 'the base backup' });
  }
}

async function readCheckPoint(
  { postgresMajor: major }: SnapshotInfo,
  { checkpointLocation: lsn, startTimeLineId }: BackupLabel,
  wal: WalScratch,
): Promise<CheckPoint> {
  const segments = await wal.segmentsAt(lsn, startTimeLineId);
  try {
    return readCheckpointRecord({ ...segments, lsn, major }).checkPoint;
  } catch (error) {
    throw fileFault(error, { path: 'pg_wal', url: 'the base backup' });
  }
}

function invalid(what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read backup',
    message: `the base backup is damaged: ${what}`,
  });
}

function severalTimeLines(): FormatError {
  return new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'read backup',
    message:
      "Neon's format can't hold WAL of several TimeLineIDs, which this base backup needs: its server was promoted meanwhile; give --consistent to have it recovered first",
  });
}
