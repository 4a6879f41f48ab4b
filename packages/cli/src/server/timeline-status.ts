import { callPageServer, type HttpPlace, type PageServerState } from '@neon-snapshot/pageserver-runner';
import { parseLsn } from '@neon-snapshot/postgres';
import type { JsonValue } from '../output/writer.ts';

/** A timeline of a running page server, as `neon status --json` shows it. LSNs are text. */
export type TimelineStatus = {
  readonly timelineId: string;
  readonly postgresMajor: number | null;
  readonly lastRecordLsn: string;
  readonly diskConsistentLsn: string;
  readonly remoteConsistentLsn: string;
  /** Up to here the storage has it in any form. */
  readonly durableLsn: string;
  /** WAL that the page server has and the storage has not. */
  readonly lagBytes: number;
  /** How old the oldest of it is; null where there is none. */
  readonly lagSeconds: number | null;
  readonly layerCount: number;
  readonly layerBytes: number;
  readonly lastPushAt: string | null;
  /** What the storage last failed with, while it fails. */
  readonly failure: string | null;
  readonly walSource: string | null;
};

/** Every timeline, by its id. */
export async function readTimelineStatus(
  server: HttpPlace & Pick<PageServerState, 'tenantId'>,
  signal: AbortSignal,
): Promise<TimelineStatus[]> {
  const path = `/v1/tenant/${server.tenantId}/timeline`;
  const answer = await callPageServer(server, { method: 'GET', path, signal });
  return (Array.isArray(answer) ? answer : []).map((each) => timelineStatus(each as Fields));
}

type Fields = Readonly<Record<string, JsonValue | undefined>>;

function timelineStatus(fields: Fields): TimelineStatus {
  const behindSince = textOrNull(fields.behind_since);
  return {
    timelineId: String(fields.timeline_id),
    postgresMajor: numberOrNull(fields.pg_version),
    lastRecordLsn: String(fields.last_record_lsn),
    diskConsistentLsn: String(fields.disk_consistent_lsn),
    remoteConsistentLsn: String(fields.remote_consistent_lsn),
    durableLsn: String(fields.durable_lsn ?? fields.remote_consistent_lsn),
    lagBytes: numberOrNull(fields.lag_bytes) ?? lsnDistance(fields),
    lagSeconds: behindSince === null ? null : Math.max(0, (Date.now() - Date.parse(behindSince)) / 1000),
    layerCount: numberOrNull(fields.layer_count) ?? 0,
    layerBytes: numberOrNull(fields.layer_bytes) ?? 0,
    lastPushAt: textOrNull(fields.last_push_at),
    failure: textOrNull(fields.storage_failure),
    walSource: textOrNull(fields.wal_source_state),
  };
}

/** For Neon's page server, which keeps nothing in storage but layers. */
function lsnDistance(fields: Fields): number {
  // It says 0/0 as long as it has stored nothing itself.
  const { last_record_lsn: end, disk_consistent_lsn: disk, remote_consistent_lsn: remote } = fields;
  const stored = remote === '0/0' ? disk : remote;
  if (typeof end !== 'string' || typeof stored !== 'string') return 0;
  return Math.max(0, Number(parseLsn(end) - parseLsn(stored)));
}

function textOrNull(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOrNull(value: JsonValue | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
