import { isFormatError, type SnapshotInfo } from '@neon-snapshot/format-core';
import { formatLsn } from '@neon-snapshot/postgres';
import { formatBytes } from '../output/units.ts';
import type { CommandResult, JsonValue } from '../output/writer.ts';
import { loadNeonFormat, STORAGE_DEST_FORMAT } from '../plugins.ts';
import type { Session } from '../session.ts';
import { openPlace, openSnapshotPlace, placeUrl, type SnapshotPlace } from '../snapshot-place.ts';
import { timelineData } from '../timeline-facts.ts';

/** `neon snapshot show`: one snapshot of any format at `--snapshot_path`, what a running server would give, or the newest one of a timeline. */
export async function run(session: Session): Promise<CommandResult> {
  await using place = await openSnapshotPlace(session);
  return await show(session, place);
}

async function show(session: Session, place: SnapshotPlace): Promise<CommandResult> {
  const info = await readInfo(session, place);
  const timelines = await timelinesOf(session, place);
  const facts = {
    url: placeUrl(place),
    snapshotFormat: place.format.name,
    ...(info === undefined ? {} : infoData(info)),
  };
  return {
    command: 'snapshot show',
    lines: [
      `snapshot     ${placeUrl(place)} (${place.format.name})`,
      ...(info === undefined
        ? ['facts of the cluster need WAL to be applied, which this version cannot do']
        : infoLines(info)),
      ...timelines.flatMap((timeline) => timelineLines(timeline)),
    ],
    data: { ...facts, timelines },
  };
}

async function readInfo(session: Session, place: SnapshotPlace): Promise<SnapshotInfo | undefined> {
  try {
    await using reader = await openPlace(session, place);
    return reader.info;
  } catch (error) {
    if (isFormatError(error, 'FORMAT_NEEDS_REDO')) return undefined;
    throw error;
  }
}

/** The timelines that are meant, where the format has any. */
async function timelinesOf(
  session: Session,
  place: SnapshotPlace,
): Promise<readonly { readonly [key: string]: JsonValue }[]> {
  if (place.format.name !== STORAGE_DEST_FORMAT || !('storage' in place.place)) return [];
  const { listTimelines } = await loadNeonFormat();
  const all = await listTimelines(place.place.storage, { tenantId: place.tenantId, signal: session.signal });
  return all
    .filter((timeline) => timeline.index !== undefined)
    .filter((timeline) => place.timelineId === undefined || timeline.timelineId === place.timelineId)
    .map(timelineData);
}

function infoData(info: SnapshotInfo): { readonly [key: string]: JsonValue } {
  return {
    systemIdentifier: info.systemIdentifier.toString(),
    postgresMajor: info.postgresMajor,
    catalogVersion: info.catalogVersion,
    lsn: formatLsn(info.lsn),
    timeLineId: info.timeLineId,
    dataChecksums: info.dataChecksums,
    consistent: info.consistency.kind === 'consistent',
    walSegmentSizeBytes: info.walSegmentSizeBytes,
    tablespaces: info.tablespaces.map(({ oid, location }) => ({ oid, location })),
    bytesTotal: info.bytesTotal ?? null,
    replicationSlots: [...info.features.replicationSlots],
  };
}

function infoLines(info: SnapshotInfo): string[] {
  const { consistency } = info;
  const state =
    consistency.kind === 'consistent'
      ? 'consistent'
      : `needs WAL from ${formatLsn(consistency.fromLsn)} up to ${formatLsn(consistency.upToLsn ?? info.lsn)}`;
  return [
    `Postgres     ${info.postgresMajor}, system identifier ${info.systemIdentifier}`,
    `ends at      ${formatLsn(info.lsn)} on TimeLineID ${info.timeLineId}, ${state}`,
    `checksums    ${info.dataChecksums ? 'on' : 'off'}`,
    ...(info.bytesTotal === undefined ? [] : [`size         ${formatBytes(info.bytesTotal)}`]),
    ...info.tablespaces.map(({ oid, location }) => `tablespace   ${oid} at ${location}`),
    ...info.features.replicationSlots.map((slot) => `slot         ${slot}`),
  ];
}

function timelineLines(timeline: { readonly [key: string]: JsonValue }): string[] {
  return [
    `tenant       ${String(timeline.tenantId)}`,
    `timeline     ${String(timeline.timelineId)}, ${String(timeline.state)}`,
    `layers       ${String(timeline.layerCount)}, ${formatBytes(Number(timeline.layerBytes))} stored`,
    ...(timeline.ancestorTimelineId === null
      ? []
      : [`branched     from ${String(timeline.ancestorTimelineId)} at ${String(timeline.ancestorLsn)}`]),
  ];
}
