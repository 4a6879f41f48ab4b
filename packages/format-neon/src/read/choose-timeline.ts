import { FormatError } from '@neon-snapshot/format-core';
import type { TenantShardId } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { listTimelines, type TimelineIndexFacts, type TimelineListing } from '../catalog/timelines.ts';
import type { ReadOptions } from '../options.ts';
import { findSnapshot } from './named-snapshots.ts';

export interface ChosenTimeline {
  readonly tenantId: string;
  /** All shards of the tenant, by number; one where it is in one piece. */
  readonly shards: readonly TenantShardId[];
  readonly timelineId: string;
  readonly index: TimelineIndexFacts;
  /** Where the options want it read; undefined for its end, or for a time. */
  readonly lsn: Lsn | undefined;
}

const NAMED_TIMELINES_MAX = 20;

/**
 * The timeline that the options name, or the only one there is; archived ones have to be named.
 * Throws `FORMAT_NOT_FOUND`, `FORMAT_AMBIGUOUS`, or `FORMAT_OPTION` for a snapshot of another timeline.
 */
export async function chooseTimeline(
  storage: Storage,
  options: ReadOptions & { readonly signal?: AbortSignal | undefined },
): Promise<ChosenTimeline> {
  const listed = await listTimelines(storage, { tenantId: options.tenantId, signal: options.signal });
  const { tenantId, timelineId, lsn } = await wantedPoint(storage, options, listed);
  const named = listed.filter(
    (timeline) =>
      (tenantId === undefined || timeline.tenantId === tenantId) &&
      (timelineId === undefined || timeline.timelineId === timelineId),
  );
  const candidates = named.filter(
    ({ state }) => state === 'ready' || (state === 'archived' && timelineId !== undefined),
  );
  const [chosen, ...others] = candidates;
  if (chosen?.index === undefined) throw notFound(storage, { named, options });
  if (others.length > 0) throw ambiguous(storage, candidates);
  const { index, shards } = chosen;
  return { tenantId: chosen.tenantId, shards, timelineId: chosen.timelineId, index, lsn };
}

type WantedPoint = Pick<ReadOptions, 'tenantId' | 'timelineId' | 'lsn'>;

/** The point that the options name, be it by the name of a snapshot. */
async function wantedPoint(
  storage: Storage,
  options: ReadOptions & { readonly signal?: AbortSignal | undefined },
  listed: readonly TimelineListing[],
): Promise<WantedPoint> {
  const { snapshot: name, signal } = options;
  if (name === undefined) return options;
  const tenantIds = [...new Set(listed.map((each) => each.tenantId))];
  const found = await findSnapshot(storage, { name, tenantIds, signal });
  if (options.timelineId === undefined || options.timelineId === found.timelineId) return found;
  throw new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'choose timeline',
    message: `the snapshot ${name} is of timeline ${found.timelineId}, not of ${options.timelineId}`,
    context: { snapshot: name, timelineId: options.timelineId },
  });
}

function notFound(
  storage: Storage,
  { named, options }: { readonly named: readonly TimelineListing[]; readonly options: ReadOptions },
): FormatError {
  const wanted = [
    options.timelineId === undefined ? 'a timeline' : `timeline ${options.timelineId}`,
    ...(options.tenantId === undefined ? [] : [`of tenant ${options.tenantId}`]),
  ].join(' ');
  const seen = named
    .map(({ timelineId, state }) => `${timelineId} is ${state}`)
    .slice(0, NAMED_TIMELINES_MAX);
  const hint = seen.length === 0 ? '' : ` (${seen.join(', ')})`;
  return new FormatError({
    code: 'FORMAT_NOT_FOUND',
    operation: 'choose timeline',
    message: `${storage.url} has no index of ${wanted}${hint}`,
  });
}

function ambiguous(storage: Storage, candidates: readonly TimelineListing[]): FormatError {
  const list = candidates
    .slice(0, NAMED_TIMELINES_MAX)
    .map(({ tenantId, timelineId }) => `--tenant_id=${tenantId} --timeline_id=${timelineId}`)
    .join('; ');
  return new FormatError({
    code: 'FORMAT_AMBIGUOUS',
    operation: 'choose timeline',
    message: `${storage.url} holds ${candidates.length} timelines; choose one: ${list}`,
    context: { timelines: candidates.length },
  });
}
