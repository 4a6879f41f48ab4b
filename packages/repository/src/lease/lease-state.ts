/**
 * Who may write, decided from what lies in the storage and the time: no I/O, no clock of its own.
 *
 *     (none) ──take──► held ──renew──► held ──release──► released ──take──► held, generation + 1
 *                       └── expired, or its process seen dead, or taken over ──take──► held, generation + 1
 *
 * Every step is one conditional put against the version that the decision was made on; the storage lets one of several win.
 */
import { GENERATION_MAX, type LeaseHolder, type LeaseRecord } from './lease-record.ts';

/** How long a lease holds without being renewed. */
const LEASE_DURATION_MS = 30_000;
/** How often its holder renews it. */
export const RENEWAL_INTERVAL_MS = 10_000;
/** By how much two machines' clocks may differ before an expiry is believed too early. */
const CLOCK_DIFFERENCE_MAX_MS = 5_000;

export interface AcquireRequest {
  readonly holderId: string;
  readonly holder: LeaseHolder;
  readonly now: Date;
  /** The new holder's generation is at least this. */
  readonly generationMin: number;
  /** Of the newest index that lies in the storage; absent where there is none. */
  readonly indexGeneration: number | undefined;
  /** Do not wait for a living holder, and go on after a writer that has no lease. */
  readonly takeOver: boolean;
  /** The holder on record is certainly dead. */
  readonly holderIsGone: boolean;
}

export type AcquireDecision =
  | { readonly kind: 'take'; readonly record: LeaseRecord }
  /** `freeAt`: when it may be taken, unless it is renewed before. */
  | { readonly kind: 'refuse'; readonly record: LeaseRecord; readonly freeAt: Date }
  /** The newest index is no lease holder's: a page server of Neon's may be at work, which knows of no lease. */
  | { readonly kind: 'foreign'; readonly ownGeneration: number | undefined; readonly indexGeneration: number }
  /** There is no higher generation. */
  | { readonly kind: 'exhausted' };

export function decideAcquire(found: LeaseRecord | undefined, request: AcquireRequest): AcquireDecision {
  if (found !== undefined && isLive(found, request)) {
    return { kind: 'refuse', record: found, freeAt: freeAt(found) };
  }
  const { indexGeneration = 0, takeOver } = request;
  const ownGeneration = found?.generation;
  if (indexGeneration > (ownGeneration ?? 0) && !takeOver)
    return { kind: 'foreign', ownGeneration, indexGeneration };
  const generation = Math.max(request.generationMin, (ownGeneration ?? 0) + 1, indexGeneration + 1);
  if (generation > GENERATION_MAX) return { kind: 'exhausted' };
  const { holderId, holder, now } = request;
  const record = { holderId, holder, generation, acquiredAt: now, expiresAt: now, isReleased: false };
  return { kind: 'take', record: renewed(record, now) };
}

/** The same holding, to last from now. */
export function renewed(record: LeaseRecord, now: Date): LeaseRecord {
  return { ...record, expiresAt: new Date(now.getTime() + LEASE_DURATION_MS) };
}

/** The end of the holding; the generation stays on record. */
export function released(record: LeaseRecord, now: Date): LeaseRecord {
  return { ...record, expiresAt: now, isReleased: true };
}

/** The same holding, whenever it was put? */
export function isSameHolding(a: LeaseRecord, b: LeaseRecord): boolean {
  return a.holderId === b.holderId && a.generation === b.generation;
}

/** By the holder's own clock: may it still count on nobody else writing? */
export function isExpired(record: LeaseRecord, now: Date): boolean {
  return now.getTime() >= record.expiresAt.getTime();
}

function isLive(found: LeaseRecord, { now, takeOver, holderIsGone }: AcquireRequest): boolean {
  if (found.isReleased || takeOver || holderIsGone) return false;
  return now.getTime() < freeAt(found).getTime();
}

function freeAt(found: LeaseRecord): Date {
  return new Date(found.expiresAt.getTime() + CLOCK_DIFFERENCE_MAX_MS);
}
