import { formatLsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import { formatTable } from '../output/table.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest, readRepositoryIfAny, tenantOf } from '../repository.ts';
import { MAIN } from '../server/ensure-repository.ts';
import type { Session } from '../session.ts';
import { timelineData } from '../timeline-facts.ts';

/** `neon branch list`: the timelines of the tenant with their names. */
export async function run(session: Session): Promise<CommandResult> {
  await using storage = await openStorageDest(session, { access: 'read' });
  const tenantId = await tenantOf(session, storage);
  const { listTimelines } = await loadNeonFormat();
  const timelines = await listTimelines(storage, { tenantId, signal: session.signal });
  const named = await openRefs({ storage, tenantId }).branches.list({ signal: session.signal });
  const names = new Map(named.map((each) => [each.timelineId, each.name]));
  const config = await readRepositoryIfAny(session);
  if (config?.tenant_id === tenantId && !names.has(config.timeline_id)) names.set(config.timeline_id, MAIN);
  const branches = timelines.filter((each) => each.index !== undefined);
  const nameOf = (id: string | undefined) => (id === undefined ? '-' : (names.get(id) ?? id));
  return {
    command: 'branch list',
    lines: formatTable(
      ['NAME', 'TIMELINE', 'LSN', 'FROM', 'AT'],
      branches.map(({ timelineId, index }) => [
        names.get(timelineId) ?? '-',
        timelineId,
        index === undefined ? '-' : formatLsn(index.endLsn),
        nameOf(index?.ancestorTimelineId),
        index?.ancestorTimelineId === undefined ? '-' : formatLsn(index.ancestorLsn),
      ]),
    ),
    data: {
      storageDest: storage.url,
      tenantId,
      branches: branches.map((each) => ({ name: names.get(each.timelineId) ?? null, ...timelineData(each) })),
    },
  };
}
