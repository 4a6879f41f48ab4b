import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Storage, throwIfAborted } from '@neon-snapshot/storage-core';
import { isProcessGone, processIdentity } from '../process-identity.ts';
import { type LeaseClock, systemClock } from './lease-clock.ts';
import { exhaustedError, foreignError, heldError, unsupportedLeaseError } from './lease-errors.ts';
import { LeaseObject } from './lease-object.ts';
import type { LeaseHolder, LeaseRecord } from './lease-record.ts';
import { decideAcquire, isSameHolding } from './lease-state.ts';
import { HeldWriterLease, type WriterLease } from './writer-lease.ts';

/** While waiting, how often a living lease is looked at: its holder may release it. */
const POLL_INTERVAL_MS = 1_000;

export interface AcquireLeaseOptions {
  readonly storage: Storage;
  /** Where `lease.json` lies: `neon-snapshot/<tenant>`. */
  readonly directory: string;
  /** What the holder is doing, for the messages of others: `neon init`. */
  readonly command: string;
  /** The generation will be at least this. Default 1. */
  readonly generationMin?: number;
  /**
   * Of the newest index that lies in the storage: the generation will be higher. An index that is newer than every lease was written
   * by somebody who knows of none, such as Neon's page server, and is `REPOSITORY_LEASE_FOREIGN`. Absent: there is none.
   */
  readonly indexGeneration?: number | undefined;
  /** Take a living lease too, whose holder stops before it publishes, and go on after a writer without a lease. Default false. */
  readonly takeOver?: boolean;
  /** How long to wait for a living holder. Default 0. */
  readonly waitMaxMs?: number;
  /**
   * What becomes of a holding that could not be renewed in time. `lose`: it ends. `wait`: it goes on being renewed, and counts again
   * as soon as the storage grants that, which it does only where nobody took it; for a holder that publishes nothing without
   * `assertHeld` before or `verify` after. Default `lose`.
   */
  readonly onExpiry?: 'lose' | 'wait';
  readonly clock?: LeaseClock;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the caller the one writer of a directory of the storage.
 *
 * Errors: `REPOSITORY_LEASE_HELD`, which names the holder; `REPOSITORY_LEASE_FOREIGN`; `REPOSITORY_LEASE_UNSUPPORTED` where the store has no
 * conditional put; `REPOSITORY_LEASE_INVALID`; `StorageError`.
 */
export async function acquireLease(options: AcquireLeaseOptions): Promise<WriterLease> {
  const { storage, clock = systemClock, signal } = options;
  const giveUpAt = clock.now().getTime() + (options.waitMaxMs ?? 0);
  const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
  if (!ifMatch || !ifNoneMatch) throw unsupportedLeaseError(storage.url);
  const object = new LeaseObject(storage, `${options.directory}/lease.json`);
  const holderId = randomBytes(16).toString('hex');
  const holder = await describeThisProcess(options.command);
  for (;;) {
    throwIfAborted(signal, { operation: 'put', key: object.key });
    const found = await object.read({ signal });
    const decision = decideAcquire(found?.record, {
      holderId,
      holder,
      now: clock.now(),
      generationMin: options.generationMin ?? 1,
      indexGeneration: options.indexGeneration,
      takeOver: options.takeOver ?? false,
      holderIsGone: found !== undefined && (await isHolderGone(found.record)),
    });
    if (decision.kind === 'exhausted') throw exhaustedError(object.place);
    if (decision.kind === 'foreign') throw foreignError(object.place, decision);
    if (decision.kind === 'refuse') {
      const leftMs = giveUpAt - clock.now().getTime();
      if (leftMs <= 0) throw heldError(object.place, decision.record);
      await clock.sleep(Math.min(leftMs, POLL_INTERVAL_MS), signal);
      continue;
    }
    const outcome = await object.put(decision.record, { expected: found, signal });
    if (outcome.kind === 'stored') {
      const outlivesExpiry = options.onExpiry === 'wait';
      return new HeldWriterLease({ object, clock, stored: outcome.stored, outlivesExpiry });
    }
    // A holder that has just renewed is looked at again; of two that take over, only the first does.
    const faster = outcome.found?.record;
    if (options.takeOver === true && faster !== undefined && !isSame(faster, found?.record))
      throw heldError(object.place, faster);
  }
}

function isSame(faster: LeaseRecord, seen: LeaseRecord | undefined): boolean {
  return seen !== undefined && isSameHolding(faster, seen);
}

async function describeThisProcess(command: string): Promise<LeaseHolder> {
  return { command, host: hostname(), pid: process.pid, process: await processIdentity() };
}

async function isHolderGone({ holder, isReleased }: LeaseRecord): Promise<boolean> {
  return !isReleased && holder.process !== '' && (await isProcessGone(holder.process));
}
