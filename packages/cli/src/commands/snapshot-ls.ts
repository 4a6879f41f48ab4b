import { formatTable } from '../output/table.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest, storageDestUrl } from '../repository.ts';
import type { Session } from '../session.ts';
import { TIMELINE_HEADER, timelineData, timelineRow } from '../timeline-facts.ts';

/** `neon snapshot ls`: the newest snapshot of every timeline of `storage_dest`. */
export async function run(session: Session): Promise<CommandResult> {
  await using storage = await openStorageDest(session, { access: 'read' });
  const { listTimelines } = await loadNeonFormat();
  const timelines = await listTimelines(storage, { signal: session.signal });
  const snapshots = timelines.filter((timeline) => timeline.index !== undefined);
  return {
    command: 'snapshot ls',
    lines:
      snapshots.length === 0
        ? [`no snapshot in ${storage.url}`]
        : formatTable(TIMELINE_HEADER, snapshots.map(timelineRow)),
    data: { storageDest: await storageDestUrl(session), snapshots: snapshots.map(timelineData) },
  };
}
