import { formatLsn, lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { requiredRepository } from '../repository.ts';
import { openStorageOf } from '../server/branches.ts';
import type { Session } from '../session.ts';

/** `neon snapshot rm NAME`: only the name goes; what it kept goes with the next garbage collection behind the PITR window. */
export async function run(session: Session): Promise<CommandResult> {
  const name = session.args.requiredString('name');
  const config = await requiredRepository(session);
  await using storage = await openStorageOf(session, config, 'write');
  const refs = openRefs({ storage, tenantId: config.tenant_id });
  const removed = await refs.snapshots.remove(name, { signal: session.signal });
  const where = formatLsn(lsn(removed.lsn));
  return {
    command: 'snapshot rm',
    lines: [`snapshot ${name} (${where} of timeline ${removed.timelineId}) has no name any more`],
    data: { name, timelineId: removed.timelineId, lsn: where },
  };
}
