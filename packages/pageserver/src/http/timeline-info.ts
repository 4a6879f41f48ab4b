import { firstReadableLsn, isL0, type StoredLayer, type TimelineSource } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import type { PageServer } from '../page-server/page-server.ts';
import type { WalSourceState } from '../page-server/wal-source.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { knownLogicalSize, layerSizes, readLogicalSize, residentBytes } from './timeline-sizes.ts';

/** Kinds in `directory_entries_counts` of Neon's TimelineInfo. */
const DIRECTORY_KINDS = 8;

/** Neon's TimelineInfo, with what we have to say more behind it. LSNs are text. */
export function timelineInfo(pageServer: PageServer, timeline: Timeline): Record<string, unknown> {
  const { source, ancestor, pushState } = timeline;
  const { metadata, relSizeMigration, relSizeMigratedAt } = source.index;
  const sizes = layerSizes(timeline);
  const logical = knownLogicalSize(timeline);
  const historyStart = laterOf(timeline.gcCutoff, ancestor?.lsn ?? ZERO_LSN);
  const walSource = pageServer.walSource(timeline.timelineId);
  return {
    tenant_id: timeline.tenantId,
    timeline_id: timeline.timelineId,
    ancestor_timeline_id: ancestor?.timelineId ?? null,
    ancestor_lsn: ancestor ? formatLsn(ancestor.lsn) : null,
    last_record_lsn: formatLsn(timeline.lastRecordLsn),
    prev_record_lsn: formatLsn(timeline.prevRecordLsn ?? ZERO_LSN),
    applied_gc_cutoff_lsn: formatLsn(timeline.gcCutoff),
    min_readable_lsn: formatLsn(firstReadableLsn(source)),
    disk_consistent_lsn: formatLsn(timeline.diskConsistentLsn),
    remote_consistent_lsn: formatLsn(timeline.remoteConsistentLsn),
    remote_consistent_lsn_visible: formatLsn(timeline.remoteConsistentLsn),
    initdb_lsn: formatLsn(metadata.initdbLsn),
    current_logical_size: logical?.sizeBytes ?? 0,
    current_logical_size_is_accurate: logical?.lsn === timeline.lastRecordLsn,
    directory_entries_counts: logical?.directoryCounts ?? new Array<number>(DIRECTORY_KINDS).fill(0),
    current_physical_size: sizes.allBytes,
    current_logical_size_non_incremental: null,
    pitr_history_size: Math.max(0, Number(timeline.lastRecordLsn - historyStart)),
    within_ancestor_pitr: isWithinAncestor(source),
    timeline_dir_layer_file_size_sum: residentBytes(pageServer, timeline),
    wal_source_connstr: walSource ? connectionText(walSource) : null,
    last_received_msg_lsn: walSource ? formatLsn(timeline.receivedLsn) : null,
    last_received_msg_ts: null,
    pg_version: timeline.major,
    state: 'Active',
    walreceiver_status: walSource ? stateText(walSource) : 'Not active',
    is_archived: timeline.isArchived,
    rel_size_migration: relSizeMigration ?? 'legacy',
    rel_size_migrated_at: lsnOrNull(relSizeMigratedAt),
    is_invisible: false,
    // Ours.
    durable_lsn: formatLsn(timeline.durableLsn),
    lag_bytes: pushState.lagBytes,
    behind_since: pushState.behindSince?.toISOString() ?? null,
    last_push_at: pushState.lastPushAt?.toISOString() ?? null,
    storage_failure: pushState.failure?.message ?? null,
    layer_count: sizes.count,
    layer_bytes: sizes.allBytes,
    remote_physical_size: sizes.remoteBytes,
    wal_source_state: walSource ? stateText(walSource) : null,
  };
}

/** Neon's TimelineInfo with the size of the database as it is now. */
export async function exactTimelineInfo(
  pageServer: PageServer,
  timeline: Timeline,
): Promise<Record<string, unknown>> {
  const { sizeBytes } = await readLogicalSize(pageServer, timeline);
  return { ...timelineInfo(pageServer, timeline), current_logical_size_non_incremental: sizeBytes };
}

/** Whether its ancestor keeps the history before the branch point anyway. */
function isWithinAncestor({ ancestor }: TimelineSource): boolean {
  return ancestor !== undefined && ancestor.lsn >= ancestor.source.index.metadata.latestGcCutoffLsn;
}

function laterOf(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}

/** Neon's LayerMapInfo. */
export function layerMapInfo(pageServer: PageServer, timeline: Timeline): Record<string, unknown> {
  const end = timeline.source.index.metadata.diskConsistentLsn;
  const inMemory = timeline.lastRecordLsn > end ? [{ kind: 'Open', lsn_start: formatLsn(end) }] : [];
  return {
    in_memory_layers: inMemory,
    historic_layers: ownLayers(timeline).map((layer) => layerInfo(pageServer, layer)),
  };
}

/** `remote`: it has no local copy. */
function layerInfo(
  pageServer: PageServer,
  { desc, name, objectKey, sizeBytes }: StoredLayer,
): Record<string, unknown> {
  const common = {
    layer_file_name: name,
    layer_file_size: sizeBytes,
    lsn_start: formatLsn(desc.lsnStart),
    remote: !pageServer.isResident(objectKey),
  };
  return desc.kind === 'image'
    ? { kind: 'Image', ...common }
    : { kind: 'Delta', ...common, lsn_end: formatLsn(desc.lsnEnd), l0: isL0(desc) };
}

/** Of the timeline itself, not of its ancestors. */
export function ownLayers({ source }: Timeline): readonly StoredLayer[] {
  return source.layers.layers;
}

function lsnOrNull(lsn: Lsn | undefined): string | null {
  return lsn === undefined ? null : formatLsn(lsn);
}

function connectionText({ source }: WalSourceState): string {
  return `host=${source.host} port=${source.port} user=${source.user}`;
}

function stateText({ state, message }: WalSourceState): string {
  return message === undefined ? state : `${state}: ${message}`;
}
