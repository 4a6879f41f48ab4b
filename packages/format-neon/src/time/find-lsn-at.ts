import { FormatError } from '@neon-snapshot/format-core';
import { loadTimeline, type TenantShardId } from '@neon-snapshot/neon-layer';
import { findLsnAt as findInSource, formatCommitTime } from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';

export interface FindLsnOptions {
  /** The first shard, which has the transaction status. */
  readonly tenant: TenantShardId;
  readonly timelineId: string;
  /** Where the timeline begins and ends, on all shards. */
  readonly gcCutoffLsn: Lsn;
  readonly end: Lsn;
  /** µs since 2000-01-01 UTC. */
  readonly time: bigint;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The LSN of the last commit before the first one after a time; the end of the timeline, where there is no later one. Throws
 * `FORMAT_TIME_OUT_OF_RANGE`, naming the earliest time, for one before the first commit that is recorded.
 */
export async function findLsnAt(storage: Storage, options: FindLsnOptions): Promise<Lsn> {
  const { gcCutoffLsn: lsnMin, end, time, signal } = options;
  const source = await loadTimeline(storage, options);
  const found = await findInSource(storage, { source, lsnMin, end, time, signal });
  if (found.kind === 'past') throw tooEarly(options, found.earliest);
  return found.lsn;
}

function tooEarly({ timelineId, time }: FindLsnOptions, earliest: bigint | undefined): FormatError {
  const asked = formatCommitTime(time);
  const known =
    earliest === undefined
      ? 'no time of a commit is recorded in it'
      : `the first time recorded is ${formatCommitTime(earliest)}`;
  return new FormatError({
    code: 'FORMAT_TIME_OUT_OF_RANGE',
    operation: 'find time',
    message: `Timeline ${timelineId} cannot be read as of ${asked}: ${known}; give an LSN instead`,
    context: { time: asked, ...(earliest === undefined ? {} : { timeMin: formatCommitTime(earliest) }) },
  });
}
