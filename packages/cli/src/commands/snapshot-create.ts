import { formatLsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { requiredRepository } from '../repository.ts';
import { openStorageOf, resolveBranch } from '../server/branches.ts';
import { pointInTimeline } from '../server/point-in-timeline.ts';
import type { Session } from '../session.ts';

/** `neon snapshot create NAME`: an LSN gets a name, and stays readable as long as it has one. */
export async function run(session: Session): Promise<CommandResult> {
  const { args, signal } = session;
  const name = args.requiredString('name');
  const config = await requiredRepository(session);
  const { timelineId } = await resolveBranch(session, config, args.string('branch'));
  const lsn = await pointInTimeline(session, config, timelineId);
  await using storage = await openStorageOf(session, config, 'write');
  const refs = openRefs({ storage, tenantId: config.tenant_id });
  const made = await refs.snapshots.create(name, { timelineId, lsn }, { signal });
  return {
    command: 'snapshot create',
    lines: [
      `snapshot ${name} at ${formatLsn(lsn)} of timeline ${timelineId}`,
      `read it  neon export --timeline=${timelineId} --lsn=${formatLsn(lsn)} --snapshot_path=DIRECTORY`,
    ],
    data: { name, timelineId, lsn: formatLsn(lsn), createdAt: made.createdAt.toISOString() },
  };
}
