import { FormatError, fileFault, type ReadContext, type SnapshotInfo } from '@neon-snapshot/format-core';
import {
  BACKUP_LABEL_SIZE_MAX,
  type BackupLabel,
  decodeBackupLabel,
  MANIFEST_SIZE_MAX,
  type ManifestWalRange,
  parseBackupManifest,
  parseWalSegmentFileName,
  walSegmentNumber,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ClusterControl } from './cluster-control.ts';
import { BACKUP_LABEL_PATH, MANIFEST_PATH, WAL_DIRECTORY } from './data-directory-layout.ts';
import { readObjectIfAny } from './read-object.ts';
import type { SourceTree } from './source-tree.ts';

/** What makes a directory a base backup: it needs its WAL from the label's start on. */
export interface DirectoryBackup {
  readonly bytes: Uint8Array;
  readonly label: BackupLabel;
  /** Of `backup_manifest`, newest TimeLineID first; without one, what is needed in any case. */
  readonly walRanges: readonly ManifestWalRange[];
  readonly hasManifest: boolean;
}

/** The base backup that a directory is, or undefined. `FORMAT_INVALID` and its kin for a label or manifest that does not parse. */
export async function readBackup(context: ReadContext): Promise<DirectoryBackup | undefined> {
  const { storage, signal } = context;
  const options = { sizeMaxBytes: BACKUP_LABEL_SIZE_MAX, signal };
  const bytes = await readObjectIfAny(storage, BACKUP_LABEL_PATH, options);
  if (bytes === undefined) return undefined;
  const label = parsed(() => decodeBackupLabel(bytes), { path: BACKUP_LABEL_PATH, storage });
  if (label.incrementalFrom !== undefined) throw incremental(storage);
  const manifest = await readObjectIfAny(storage, MANIFEST_PATH, { sizeMaxBytes: MANIFEST_SIZE_MAX, signal });
  const walRanges =
    manifest === undefined
      ? []
      : parsed(() => parseBackupManifest(manifest), { path: MANIFEST_PATH, storage }).walRanges;
  const { startTimeLineId: timeLineId, startWalLocation: startLsn, checkpointLocation: endLsn } = label;
  return {
    bytes,
    label,
    hasManifest: walRanges.length > 0,
    walRanges: walRanges.length > 0 ? walRanges : [{ timeLineId, startLsn, endLsn }],
  };
}

/** The part of a snapshot's facts that says where it ends. */
export function endingOf({
  bytes: backupLabel,
  label,
  walRanges: [newest],
  hasManifest,
}: DirectoryBackup): Pick<SnapshotInfo, 'lsn' | 'timeLineId' | 'consistency'> {
  const fromLsn = label.startWalLocation;
  const upToLsn = hasManifest ? newest?.endLsn : undefined;
  return {
    lsn: upToLsn ?? fromLsn,
    timeLineId: newest?.timeLineId ?? label.startTimeLineId,
    consistency: {
      kind: 'needs-wal',
      fromLsn,
      backupLabel,
      ...(upToLsn === undefined ? {} : { upToLsn }),
    },
  };
}

const HISTORY = /^[0-9A-F]{8}\.history$/;

/** PGDATA-relative: segments from the label's start on, and the timeline histories. */
export function walPathsOf(
  tree: SourceTree,
  { controlFile }: ClusterControl,
  { label }: DirectoryBackup,
): ReadonlySet<string> {
  const { walSegmentSizeBytes } = controlFile;
  const first = walSegmentNumber(label.startWalLocation, walSegmentSizeBytes);
  const isNeeded = (name: string) =>
    HISTORY.test(name) || (parseWalSegmentFileName(name, walSegmentSizeBytes)?.segno ?? -1) >= first;
  const paths = tree.files.map(({ path }) => path);
  return new Set(
    paths.filter(
      (path) => path.startsWith(`${WAL_DIRECTORY}/`) && isNeeded(path.slice(WAL_DIRECTORY.length + 1)),
    ),
  );
}

function parsed<T>(parse: () => T, of: { readonly path: string; readonly storage: Storage }): T {
  try {
    return parse();
  } catch (error) {
    throw fileFault(error, { path: of.path, url: of.storage.url });
  }
}

function incremental(storage: Storage): FormatError {
  return new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'check data directory',
    message: `${storage.url} is an incremental backup, of which most pages are elsewhere; put it together with pg_combinebackup first`,
  });
}
