import {
  acquireLease,
  createUnguardedLease,
  isRepositoryError,
  type WriterLease,
} from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { loadNeonFormat } from '../plugins.ts';

export interface LeaseRequest {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly command: string;
  readonly takeOver: boolean;
  /** Go on where the store cannot keep a second writer away. */
  readonly unsafeNoLease: boolean;
  readonly onWait: (message: string) => void;
  readonly signal: AbortSignal;
}

/** A page server that died without a word holds its lease for 30 s more. */
const WAIT_MAX_MS = 45_000;

/** The right to write the tenant, under a generation above every index of it. Waits for a dead holder's lease to expire. */
export async function openWriterLease(request: LeaseRequest): Promise<WriterLease> {
  const { storage, tenantId, command, takeOver, signal } = request;
  const indexGeneration = await newestGeneration(request);
  const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
  if (request.unsafeNoLease && !(ifMatch && ifNoneMatch))
    return createUnguardedLease({ generation: (indexGeneration ?? 0) + 1 });
  const lease = {
    storage,
    directory: `neon-snapshot/${tenantId}`,
    command,
    takeOver,
    onExpiry: 'wait',
    ...(indexGeneration === undefined ? {} : { indexGeneration }),
    signal,
  } as const;
  try {
    return await acquireLease(lease);
  } catch (error) {
    if (!isRepositoryError(error, 'REPOSITORY_LEASE_HELD')) throw error;
    request.onWait(`${error.message}; waiting until it expires`);
    return acquireLease({ ...lease, waitMaxMs: WAIT_MAX_MS });
  }
}

async function newestGeneration({ storage, tenantId, signal }: LeaseRequest): Promise<number | undefined> {
  const { listTimelines } = await loadNeonFormat();
  const generations = (await listTimelines(storage, { tenantId, signal })).flatMap((each) =>
    each.index?.generation === undefined ? [] : [each.index.generation],
  );
  return generations.length === 0 ? undefined : Math.max(...generations);
}
