import { FormatError, type WriteContext } from '@neon-snapshot/format-core';
import { listTenantIds } from '../catalog/timelines.ts';
import type { WriteOptions } from '../options.ts';

/** The destination has to be free of any tenant, or of the one that is to be made. */
export async function assertVacant(
  context: WriteContext,
  { tenantId, isSoleTenant }: WriteOptions,
): Promise<void> {
  const tenantIds = await listTenantIds(context.storage, { signal: context.signal });
  const inTheWay = isSoleTenant ? tenantIds : tenantIds.filter((id) => id === tenantId);
  const [first] = inTheWay;
  if (first === undefined) return;
  throw new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'open writer',
    message: `${context.storage.url} already holds tenant ${inTheWay.join(', ')}; attach it, or choose another destination or another --tenant_id`,
    context: { tenantId: first },
  });
}
