import { usageError } from '../cli-error.ts';
import { deleteOrShow } from '../deletion.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest } from '../repository.ts';
import type { Session } from '../session.ts';

/** `neon tenant delete`: a tenant with all its timelines; the tenant is always named, never taken from the repository. */
export async function run(session: Session): Promise<CommandResult> {
  const tenantId = session.args.id('tenant_id');
  if (tenantId === undefined)
    throw usageError('name the tenant to delete: --tenant_id=ID (see neon tenant ls)');
  await using storage = await openStorageDest(session, {
    access: session.args.boolean('yes') ? 'write' : 'read',
  });
  const { planTenantDeletion } = await loadNeonFormat();
  const plan = await planTenantDeletion(storage, { tenantId, signal: session.signal });
  return await deleteOrShow(session, storage, {
    command: 'tenant delete',
    subject: `tenant ${tenantId}`,
    facts: { tenantId },
    plan,
  });
}
