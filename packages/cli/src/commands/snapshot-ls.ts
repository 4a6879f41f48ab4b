import { formatLsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { formatTable } from '../output/table.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest } from '../repository.ts';
import type { Session } from '../session.ts';
import { TIMELINE_HEADER, timelineData, timelineRow } from '../timeline-facts.ts';

/** `neon snapshot ls`: the newest snapshot of every timeline of `storage_dest`, and those that have a name. */
export async function run(session: Session): Promise<CommandResult> {
  await using storage = await openStorageDest(session, { access: 'read' });
  const { listTimelines } = await loadNeonFormat();
  const timelines = await listTimelines(storage, { signal: session.signal });
  const snapshots = timelines.filter((timeline) => timeline.index !== undefined);
  const tenants = [...new Set(snapshots.map((timeline) => timeline.tenantId))];
  const named = (await Promise.all(tenants.map((id) => namedSnapshots(storage, id, session.signal)))).flat();
  return {
    command: 'snapshot ls',
    lines:
      snapshots.length === 0
        ? [`no snapshot in ${storage.url}`]
        : [...formatTable(TIMELINE_HEADER, snapshots.map(timelineRow)), ...namedLines(named)],
    data: { storageDest: storage.url, snapshots: snapshots.map(timelineData), named },
  };
}

type NamedSnapshot = {
  readonly name: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: string;
  readonly createdAt: string;
};

async function namedSnapshots(
  storage: Storage,
  tenantId: string,
  signal: AbortSignal,
): Promise<NamedSnapshot[]> {
  const found = await openRefs({ storage, tenantId }).snapshots.list({ signal });
  return found.map((each) => ({
    name: each.name,
    tenantId,
    timelineId: each.timelineId,
    lsn: formatLsn(lsn(each.lsn)),
    createdAt: each.createdAt.toISOString(),
  }));
}

function namedLines(named: readonly NamedSnapshot[]): string[] {
  if (named.length === 0) return [];
  const rows = named.map((each) => [each.name, each.timelineId, each.lsn, each.createdAt]);
  return ['', ...formatTable(['NAME', 'TIMELINE', 'LSN', 'CREATED'], rows)];
}
