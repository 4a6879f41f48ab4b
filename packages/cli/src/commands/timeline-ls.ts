import { formatTable } from '../output/table.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest, storageDestUrl } from '../repository.ts';
import type { Session } from '../session.ts';
import { TIMELINE_HEADER, timelineData, timelineRow } from '../timeline-facts.ts';

/** `neon timeline ls`: every timeline, also what an interrupted import left. */
export async function run(session: Session): Promise<CommandResult> {
  const tenantId = session.args.id('tenant_id');
  await using storage = await openStorageDest(session, { access: 'read' });
  const { listTimelines } = await loadNeonFormat();
  const timelines = await listTimelines(storage, { tenantId, signal: session.signal });
  return {
    command: 'timeline ls',
    lines:
      timelines.length === 0
        ? [`no timeline in ${storage.url}`]
        : formatTable(TIMELINE_HEADER, timelines.map(timelineRow)),
    data: { storageDest: await storageDestUrl(session), timelines: timelines.map(timelineData) },
  };
}
