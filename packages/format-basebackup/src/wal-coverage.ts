import { FormatError } from '@neon-snapshot/format-core';
import {
  formatLsn,
  lsn,
  type ManifestWalRange,
  walSegmentFileName,
  walSegmentNumber,
} from '@neon-snapshot/postgres';

/** `FORMAT_TRUNCATED` unless every segment of the ranges has passed. */
export function assertWalCovers(
  ranges: readonly ManifestWalRange[],
  wal: { readonly names: ReadonlySet<string>; readonly walSegmentSizeBytes: number; readonly url: string },
): void {
  const { names, walSegmentSizeBytes: size, url } = wal;
  for (const { timeLineId, startLsn, endLsn } of ranges) {
    const last = walSegmentNumber(endLsn > startLsn ? lsn(endLsn - 1n) : endLsn, size);
    for (let segno = walSegmentNumber(startLsn, size); segno <= last; segno += 1) {
      const name = walSegmentFileName(timeLineId, segno, size);
      if (names.has(name)) continue;
      throw new FormatError({
        code: 'FORMAT_TRUNCATED',
        operation: 'read WAL of backup',
        message: `${url} has no WAL segment ${name}, and needs the WAL from ${formatLsn(startLsn)} to ${formatLsn(endLsn)}; take the backup with its WAL (pg_basebackup -X stream), or put pg_wal.tar back`,
        context: { segment: name },
      });
    }
  }
}
