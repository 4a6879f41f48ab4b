import { FormatError } from '@neon-snapshot/format-core';
import { type TenantShardId, UNSHARDED } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { listTenantShards } from '../catalog/tenant-tree.ts';
import { listTimelines, type TimelineIndexFacts, type TimelineListing } from '../catalog/timelines.ts';
import type { ReadOptions } from '../options.ts';

export interface ChosenTimeline {
  readonly tenant: TenantShardId;
  readonly timelineId: string;
  readonly index: TimelineIndexFacts;
  readonly lsn: Lsn;
}

const NAMED_TIMELINES_MAX = 20;

/**
 * The timeline that the options name, or the only one there is; archived ones have to be named.
 * Throws `FORMAT_NOT_FOUND`, `FORMAT_AMBIGUOUS` or `FORMAT_LSN_OUT_OF_RANGE`.
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
  const { index } = chosen;
  return {
    tenant: await chooseShard(storage, chosen.tenantId, signal),
    timelineId: chosen.timelineId,
    index,
    lsn: chooseLsn(chosen.timelineId, index, options.lsn),
  };
}

/** After a shard split the parent's index stays and grows stale, so a tenant with shards is never read through it. */
async function chooseShard(
  storage: Storage,
  tenantId: string,
  signal: AbortSignal | undefined,
): Promise<TenantShardId> {
  const tenants = await listTenantShards(storage, { tenantId, signal });
  const newest = tenants.toSorted((a, b) => b.shard.count - a.shard.count)[0];
  if (newest === undefined || newest.shard.count <= 1) return newest ?? { tenantId, shard: UNSHARDED };
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'choose timeline',
    message: `Tenant ${tenantId} is split into ${newest.shard.count} shards; only tenants in one piece can be read`,
    context: { tenantId, shardCount: newest.shard.count },
  });
}

function chooseLsn(timelineId: string, index: TimelineIndexFacts, asked: Lsn | undefined): Lsn {
  const { gcCutoffLsn, diskConsistentLsn } = index;
  if (asked === undefined) return diskConsistentLsn;
  if (asked >= gcCutoffLsn && asked <= diskConsistentLsn) return asked;
  throw new FormatError({
    code: 'FORMAT_LSN_OUT_OF_RANGE',
    operation: 'choose LSN',
    message: `Timeline ${timelineId} can be read from ${formatLsn(gcCutoffLsn)} to ${formatLsn(diskConsistentLsn)}, not at ${formatLsn(asked)}`,
    context: {
      lsn: formatLsn(asked),
      lsnMin: formatLsn(gcCutoffLsn),
      lsnMax: formatLsn(diskConsistentLsn),
    },
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
