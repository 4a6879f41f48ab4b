import { usageError } from '../cli-error.ts';
import { deleteOrShow } from '../deletion.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest, tenantOf } from '../repository.ts';
import type { Session } from '../session.ts';

/** `neon timeline delete`: one timeline; it is always named, never taken from the repository. */
export async function run(session: Session): Promise<CommandResult> {
  const timelineId = session.args.id('timeline');
  if (timelineId === undefined)
    throw usageError('name the timeline to delete: --timeline=ID (see neon timeline ls)');
  await using storage = await openStorageDest(session, {
    access: session.args.boolean('yes') ? 'write' : 'read',
  });
  const tenantId = await tenantOf(session, storage);
  const { planTimelineDeletion } = await loadNeonFormat();
  const plan = await planTimelineDeletion(storage, { tenantId, timelineId, signal: session.signal });
  return await deleteOrShow(session, storage, {
    command: 'timeline delete',
    subject: `timeline ${timelineId} of tenant ${tenantId}`,
    facts: { tenantId, timelineId },
    plan,
  });
}
