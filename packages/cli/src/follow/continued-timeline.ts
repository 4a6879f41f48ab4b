/** Whether a primary has what continues a timeline that is in a storage already. */
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import { isPqError, type PqConnection } from '@neon-snapshot/pq-proto';
import { CliError } from '../cli-error.ts';
import { STORAGE_DEST_FORMAT } from '../plugins.ts';
import { formatServices } from '../services.ts';
import { concurrencyOf, loadFormat, openLocation, type Session } from '../session.ts';

const OBJECT_IN_USE = '55006';

/** Where a timeline ends. */
export interface TimelineEnd {
  readonly systemIdentifier: bigint;
  /** Of the cluster that it was imported from; following never leaves it. */
  readonly timeLineId: number;
  readonly lsn: Lsn;
}

export async function readTimelineEnd(
  session: Session,
  of: { readonly storageDest: string; readonly tenantId: string; readonly timelineId: string },
): Promise<TimelineEnd> {
  const format = await loadFormat(session, STORAGE_DEST_FORMAT);
  await using storage = await openLocation(session, of.storageDest, { role: 'storage', access: 'read' });
  await using reader = await format.openReader({
    storage,
    options: { tenant_id: of.tenantId, timeline_id: of.timelineId, timeline_id_mode: 'original' },
    services: formatServices(session, 'storage'),
    concurrency: concurrencyOf(session.args),
    signal: session.signal,
  });
  const { systemIdentifier, timeLineId, lsn: end } = reader.info;
  return { systemIdentifier, timeLineId, lsn: end };
}

/** `CLI_CANNOT_FOLLOW` unless the primary is of the same cluster and history, not older, and still has the WAL from there on. */
export async function assertContinues(
  connection: PqConnection,
  end: TimelineEnd,
  { slot, signal }: { readonly slot: string; readonly signal: AbortSignal },
): Promise<void> {
  const found = await connection.identifySystem({ signal });
  if (found.systemIdentifier !== end.systemIdentifier)
    throw cannotFollow(
      `its system identifier is ${found.systemIdentifier}, that of the timeline ${end.systemIdentifier}: it is another cluster`,
    );
  if (found.timeLineId !== end.timeLineId)
    throw cannotFollow(
      `it is on TimeLineID ${found.timeLineId}, the timeline is of ${end.timeLineId}: another server was promoted, whose WAL is another history`,
    );
  if (found.lsn < end.lsn)
    throw cannotFollow(
      `it ends at ${formatLsn(lsn(found.lsn))}, the timeline at ${formatLsn(end.lsn)}: it is older, as a server restored from a backup is`,
    );
  if (found.lsn === end.lsn) return;
  try {
    await using stream = await connection.startPhysicalReplication({ startLsn: end.lsn, slot, signal });
    for await (const message of stream) if (message.kind === 'data') return;
  } catch (error) {
    if (!isPqError(error) || error.server === undefined) throw error;
    // Our own page server streams from it, by another address.
    if (error.server.code === OBJECT_IN_USE) return;
    throw cannotFollow(
      `it cannot send the WAL from ${formatLsn(end.lsn)} on, where the timeline ends: ${error.server.message}`,
    );
  }
}

function cannotFollow(why: string): CliError {
  return new CliError(
    'CLI_CANNOT_FOLLOW',
    'follow primary',
    `this primary does not continue what is in storage_dest: ${why}; follow it anew, into a new storage_dest`,
  );
}
