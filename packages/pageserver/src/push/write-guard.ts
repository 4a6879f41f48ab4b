import { isRepositoryError, type WriterLease } from '@neon-snapshot/repository';
import { PageServerError } from '../page-server-error.ts';

/** The right to publish, as the lease has it. All methods throw `PAGESERVER_FENCED` once another process holds the lease. */
export interface WriteGuard {
  readonly generation: number;
  /** Right before an index: renews the lease at the storage. */
  assertHeld(signal: AbortSignal): Promise<void>;
  /** Right after: reads the lease. What was put before is then seen by every later holder. */
  verify(signal: AbortSignal): Promise<void>;
  /** By the own clock, or at the storage where the lease has expired by it. */
  assertLive(signal: AbortSignal): Promise<void>;
}

export function createWriteGuard(lease: WriterLease, onFenced: (error: PageServerError) => void): WriteGuard {
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!isRepositoryError(error, 'REPOSITORY_LEASE_LOST')) throw error;
      const fenced = fencedError(error);
      onFenced(fenced);
      throw fenced;
    }
  };
  return {
    generation: lease.generation,
    assertHeld: (signal) => guarded(() => lease.assertHeld({ signal })),
    verify: (signal) => guarded(() => lease.verify({ signal })),
    assertLive: (signal) =>
      guarded(async () => {
        if (lease.isExpired || lease.signal.aborted) await lease.assertHeld({ signal });
      }),
  };
}

export function fencedError(cause: Error): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_FENCED',
    operation: 'push',
    message: `this page server was fenced and publishes nothing more: ${cause.message}`,
    cause,
  });
}
