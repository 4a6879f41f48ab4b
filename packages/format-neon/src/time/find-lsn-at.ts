import { FormatError } from '@neon-snapshot/format-core';
import {
  type FindLsnOptions,
  findLsnAt as findInSource,
  formatCommitTime,
} from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';

/**
 * The LSN of the last commit before the first one after a time; the end of the timeline, where there is no later one. Throws
 * `FORMAT_TIME_OUT_OF_RANGE`, naming the earliest time, for one before the first commit that is recorded.
 */
export async function findLsnAt(storage: Storage, options: FindLsnOptions): Promise<Lsn> {
  const found = await findInSource(storage, options);
  if (found.kind === 'past') throw tooEarly(options, found.earliest);
  return found.lsn;
}

function tooEarly({ source, time }: FindLsnOptions, earliest: bigint | undefined): FormatError {
  const asked = formatCommitTime(time);
  const known =
    earliest === undefined
      ? 'no time of a commit is recorded in it'
      : `the first time recorded is ${formatCommitTime(earliest)}`;
  return new FormatError({
    code: 'FORMAT_TIME_OUT_OF_RANGE',
    operation: 'find time',
    message: `Timeline ${source.timelineId} cannot be read as of ${asked}: ${known}; give an LSN instead`,
    context: { time: asked, ...(earliest === undefined ? {} : { timeMin: formatCommitTime(earliest) }) },
  });
}
