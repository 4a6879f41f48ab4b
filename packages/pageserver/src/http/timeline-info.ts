import { firstReadableLsn, isL0, type StoredLayer } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import type { PageServer } from '../page-server/page-server.ts';
import type { WalSourceState } from '../page-server/wal-source.ts';
import type { Timeline } from '../timeline/timeline.ts';

/** Kinds in `directory_entries_counts` of Neon's TimelineInfo; they are not counted here. */
const DIRECTORY_KINDS = 8;

/** Neon's TimelineInfo, with what we have to say more behind it. LSNs are text. */
export function timelineInfo(pageServer: PageServer, timeline: Timeline): Record<string, unknown> {
  const { source, ancestor, pushState } = timeline;
  const { metadata, relSizeMigration, relSizeMigratedAt } = source.index;
  const layers = ownLayers(timeline);
  const layerBytes = layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
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
    current_logical_size: 0,
    current_logical_size_is_accurate: false,
    directory_entries_counts: new Array<number>(DIRECTORY_KINDS).fill(0),
    current_physical_size: layerBytes,
    current_logical_size_non_incremental: null,
    pitr_history_size: 0,
    within_ancestor_pitr: false,
    timeline_dir_layer_file_size_sum: null,
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
    layer_count: layers.length,
    layer_bytes: layerBytes,
    wal_source_state: walSource ? stateText(walSource) : null,
  };
}

/** Neon's LayerMapInfo. */
export function layerMapInfo(timeline: Timeline): Record<string, unknown> {
  const end = timeline.source.index.metadata.diskConsistentLsn;
  const inMemory = timeline.lastRecordLsn > end ? [{ kind: 'Open', lsn_start: formatLsn(end) }] : [];
  return { in_memory_layers: inMemory, historic_layers: ownLayers(timeline).map(layerInfo) };
}

function layerInfo({ desc, name, sizeBytes }: StoredLayer): Record<string, unknown> {
  const common = {
    layer_file_name: name,
    layer_file_size: sizeBytes,
    lsn_start: formatLsn(desc.lsnStart),
  };
  return desc.kind === 'image'
    ? { kind: 'Image', ...common, remote: true }
    : { kind: 'Delta', ...common, lsn_end: formatLsn(desc.lsnEnd), remote: true, l0: isL0(desc) };
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
