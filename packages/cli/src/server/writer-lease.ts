import {
  acquireLease,
  assertConditionalPut,
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

/** A lease is respected for 5 s beyond its expiry; a holder that lives has long renewed it by then. */
const WAIT_BEYOND_EXPIRY_MS = 7_000;
const WAIT_MAX_MS = 45_000;

/** The right to write the tenant, under a generation above every index of it. Waits for a dead holder's lease to expire. */
export async function openWriterLease(request: LeaseRequest): Promise<WriterLease> {
  const { storage, tenantId, command, takeOver, signal } = request;
  const directory = `neon-snapshot/${tenantId}`;
  const indexGeneration = await newestGeneration(request);
  try {
    await assertConditionalPut({ storage, directory, signal });
  } catch (error) {
    if (!isRepositoryError(error, 'REPOSITORY_LEASE_UNSUPPORTED') || !request.unsafeNoLease) throw error;
    return createUnguardedLease({ generation: (indexGeneration ?? 0) + 1 });
  }
  const lease = {
    storage,
    directory,
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
    return await whileWaiting(() =>
      acquireLease({ ...lease, waitMaxMs: untilExpiryMs(error.context.expiresAt) }),
    );
  }
}

/** The lease's own timers keep no process alive, and there is nothing else here yet that would. */
async function whileWaiting<Result>(work: () => Promise<Result>): Promise<Result> {
  const timer = setInterval(() => undefined, WAIT_MAX_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** A page server that died without a word holds its lease for up to 30 s more; clocks may differ. */
function untilExpiryMs(expiresAt: unknown): number {
  const leftMs = typeof expiresAt === 'string' ? Date.parse(expiresAt) - Date.now() : Number.NaN;
  return Number.isNaN(leftMs)
    ? WAIT_MAX_MS
    : Math.min(WAIT_MAX_MS, Math.max(0, leftMs) + WAIT_BEYOND_EXPIRY_MS);
}

async function newestGeneration({ storage, tenantId, signal }: LeaseRequest): Promise<number | undefined> {
  const { listTimelines } = await loadNeonFormat();
  const generations = (await listTimelines(storage, { tenantId, signal })).flatMap((each) =>
    each.index?.generation === undefined ? [] : [each.index.generation],
  );
  return generations.length === 0 ? undefined : Math.max(...generations);
}
