import { FormatError } from '@neon-snapshot/format-core';
import type { TenantShardId } from '@neon-snapshot/neon-layer';
import type { Storage } from '@neon-snapshot/storage-core';
import { listTimelines, type TimelineIndexFacts, type TimelineListing } from '../catalog/timelines.ts';
import type { ReadOptions } from '../options.ts';

export interface ChosenTimeline {
  readonly tenantId: string;
  /** All shards of the tenant, by number; one where it is in one piece. */
  readonly shards: readonly TenantShardId[];
  readonly timelineId: string;
  readonly index: TimelineIndexFacts;
}

const NAMED_TIMELINES_MAX = 20;

/**
 * The timeline that the options name, or the only one there is; archived ones have to be named.
 * Throws `FORMAT_NOT_FOUND` or `FORMAT_AMBIGUOUS`.
 */
export async function chooseTimeline(
  storage: Storage,
  options: ReadOptions & { readonly signal?: AbortSignal | undefined },
): Promise<ChosenTimeline> {
  const { tenantId, timelineId, signal } = options;
  const listed = await listTimelines(storage, { tenantId, signal });
  const named = listed.filter((timeline) => timelineId === undefined || timeline.timelineId === timelineId);
  const candidates = named.filter(
    ({ state }) => state === 'ready' || (state === 'archived' && timelineId !== undefined),
  );
  const [chosen, ...others] = candidates;
  if (chosen?.index === undefined) throw notFound(storage, { named, options });
  if (others.length > 0) throw ambiguous(storage, candidates);
  const { index, shards } = chosen;
  return { tenantId: chosen.tenantId, shards, timelineId: chosen.timelineId, index };
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
