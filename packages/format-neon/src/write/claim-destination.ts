import { FormatError, type WriteContext } from '@neon-snapshot/format-core';
import { isStorageError, type PutOptions, type Storage } from '@neon-snapshot/storage-core';
import { type ImportChoice, readClaim, type StoredClaim } from './find-import.ts';
import { CLAIM_KEY, encodeClaim, type ImportIds, isSameIds } from './import-journal.ts';

interface ClaimRequest {
  readonly context: WriteContext;
  readonly choice: ImportChoice;
  readonly signal: AbortSignal;
}

/**
 * Makes this the one import under way into a destination that holds no tenant, so that two that were begun at the same
 * moment, each with ids of its own, don't both succeed. The claim of an import that was killed goes over, once its lease is seen to be dead.
 * Rejects with the error of the living one's lease, or `FORMAT_NOT_EMPTY`.
 */
export async function claimDestination(request: ClaimRequest): Promise<void> {
  const { context, choice, signal } = request;
  const found = await readClaim(context.storage, signal);
  if (found !== undefined && isSameIds(found.ids, choice)) return;
  if (found === undefined) return putClaim(request, { ifNoneMatch: '*' });
  await assertDead(request, found);
  const { tenantId } = found.ids;
  context.services.warn(
    `an import of something else into tenant ${tenantId} was interrupted here; what it stored stays until neon tenant delete --tenant_id=${tenantId}`,
  );
  await putClaim(request, found.etag === undefined ? {} : { ifMatch: found.etag });
}

/** Removes the claim, if it is that of this import. */
export async function dropClaim(storage: Storage, ids: ImportIds): Promise<void> {
  const found = await readClaim(storage, undefined);
  if (found !== undefined && isSameIds(found.ids, ids)) await storage.delete([CLAIM_KEY]);
}

async function assertDead({ context, choice, signal }: ClaimRequest, found: StoredClaim): Promise<void> {
  const { storage, services } = context;
  const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
  if (services.acquireLease !== undefined && ifMatch && ifNoneMatch) {
    const directory = `neon-snapshot/${found.ids.tenantId}`;
    const lease = await services.acquireLease({
      storage,
      directory,
      generationMin: 1,
      takeOver: false,
      signal,
    });
    // Where nothing was left of that tenant, nothing is to be left of this look.
    await lease.release({ forget: lease.generation === 1 });
  }
  if (choice.abandoned === undefined || !isSameIds(choice.abandoned, found.ids)) throw raced(storage);
}

async function putClaim(
  { context, choice, signal }: ClaimRequest,
  condition: Pick<PutOptions, 'ifMatch' | 'ifNoneMatch'>,
): Promise<void> {
  const { storage } = context;
  const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
  try {
    await storage.put(CLAIM_KEY, encodeClaim(choice), {
      signal,
      ...(ifMatch && ifNoneMatch ? condition : {}),
    });
  } catch (error) {
    const isLost =
      isStorageError(error, 'STORAGE_ALREADY_EXISTS') || isStorageError(error, 'STORAGE_PRECONDITION_FAILED');
    const found = await readClaim(storage, signal);
    // The answer to our own put may have been lost.
    if (found !== undefined && isSameIds(found.ids, choice)) return;
    throw isLost ? raced(storage) : error;
  }
}

function raced(storage: Storage): FormatError {
  return new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'begin import',
    message: `another import into ${storage.url} was begun at the same moment; wait for it to end, or choose another destination`,
  });
}
