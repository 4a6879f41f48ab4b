import {
  BackupManifestWriter,
  type ControlFile,
  formatManifestCrc32c,
  type ManifestFile,
  type ManifestWalRange,
  manifestVersionOf,
} from '@neon-snapshot/postgres';
import type { SnapshotTrailer } from './format.ts';
import type { SnapshotInfo } from './snapshot.ts';

/** A file that was written, as the manifest lists it. */
export interface WrittenFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly crc32c: number;
}

/** The `backup_manifest` of a snapshot: its files by path, without WAL and the manifest itself, as the server makes it. */
export function encodeSnapshotManifest(options: {
  readonly info: SnapshotInfo;
  readonly controlFile: ControlFile;
  /** Of a base backup that needs WAL. */
  readonly backup?: SnapshotTrailer['backup'];
  readonly files: readonly WrittenFile[];
}): Uint8Array {
  const { info, controlFile } = options;
  const version = manifestVersionOf(info.postgresMajor);
  const writer = new BackupManifestWriter(
    version === 1 ? { version } : { version, systemIdentifier: info.systemIdentifier },
  );
  const listed = options.files.filter(({ path }) => isListed(path));
  for (const file of listed.toSorted((a, b) => (a.path < b.path ? -1 : 1)))
    writer.addFile(manifestFile(file));
  return writer.finish(options.backup?.walRanges ?? [walRange(info, controlFile)]);
}

function isListed(path: string): boolean {
  return path !== 'backup_manifest' && !path.startsWith('pg_wal/');
}

function manifestFile(file: WrittenFile): ManifestFile {
  const { path, sizeBytes, modifiedAt, crc32c } = file;
  const checksum = { algorithm: 'CRC32C', hex: formatManifestCrc32c(crc32c) } as const;
  return { path, size: sizeBytes, modifiedAt, checksum };
}

/** WAL to read at the first start: of a stopped cluster its shutdown checkpoint record. */
function walRange(info: SnapshotInfo, controlFile: ControlFile): ManifestWalRange {
  const { timeLineId, consistency } = info;
  if (consistency.kind === 'needs-wal') {
    return { timeLineId, startLsn: consistency.fromLsn, endLsn: consistency.upToLsn ?? info.lsn };
  }
  return { timeLineId, startLsn: controlFile.checkPoint, endLsn: info.lsn };
}
