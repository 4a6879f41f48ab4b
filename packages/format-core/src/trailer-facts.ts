import { type ControlFile, decodeControlFile, formatLsn } from '@neon-snapshot/postgres';
import { fileFault } from './file-fault.ts';
import type { SnapshotTrailer, WriteContext, WriteResult } from './format.ts';

/** `pg_control` of a snapshot's trailer. A damaged one is a `FormatError` that names it. */
export function decodeTrailer({ controlFile }: SnapshotTrailer): ControlFile {
  try {
    return decodeControlFile(controlFile);
  } catch (error) {
    throw fileFault(error, { path: 'global/pg_control', url: 'the snapshot' });
  }
}

/** What a writer of a cluster's own files tells of what it wrote: where a base backup ends only the trailer knows. */
export function writtenFacts(
  { storage, source: { info } }: WriteContext,
  { backup }: SnapshotTrailer,
): WriteResult['facts'] {
  return {
    location: storage.url,
    postgresMajor: info.postgresMajor,
    systemIdentifier: info.systemIdentifier.toString(),
    lsn: formatLsn(backup?.walRanges[0]?.endLsn ?? info.lsn),
    timeLineId: info.timeLineId,
    tablespaces: info.tablespaces.length,
  };
}
