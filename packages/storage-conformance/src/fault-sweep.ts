import { type RetryEvent, type Storage, withRetry, withTimeout } from '@neon-snapshot/storage-core';
import { createFaultyStorage, type Fault, type FaultyVerb, type PlannedFault } from './faulty-storage.ts';
import type { OpenedStorage } from './kit-options.ts';

/** How a flow ended under one fault. */
export type SweptOutcome<Result> =
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'failed'; readonly error: unknown };

/** One run of a flow. */
export interface SweptCase<Result> {
  /** For messages: `put 3: reset after 100, with retries`. */
  readonly name: string;
  readonly planned: PlannedFault;
  /** The storage repeated calls as it does for users. */
  readonly hasRetries: boolean;
  readonly retries: readonly RetryEvent[];
  readonly outcome: SweptOutcome<Result>;
  /** The storage without any fault, to be looked at. */
  readonly storage: Storage;
}

export interface FaultSweepOptions<Result> {
  /** Gives what the flow starts from, anew and independent, for every case. */
  readonly open: () => Promise<OpenedStorage>;
  /** What is swept. It must not depend on chance: its calls are counted once. */
  readonly flow: (storage: Storage) => Promise<Result>;
  /** Asserts that the outcome and the state left are right: destination empty or whole. */
  readonly check: (swept: SweptCase<Result>) => Promise<void>;
  /** Of the calls of a verb, as many are failed, spread over all. Default 8. */
  readonly callsOfVerbMax?: number;
}

export interface FaultSweepReport {
  readonly cases: number;
  readonly failed: number;
  readonly retried: number;
}

const VERBS: readonly FaultyVerb[] = ['head', 'get', 'list', 'put', 'delete', 'copy'];
/** A call that hangs is given up after this time. */
const TIMEOUT_MS = 100;
const CALLS_OF_VERB_DEFAULT = 8;

/** What can happen to a call of each verb: named as operators meet it. */
const FAULTS: Readonly<Record<FaultyVerb, readonly Fault[]>> = {
  head: [throttled(), { kind: 'hang' }],
  get: [throttled(), { kind: 'reset', after: 100 }, { kind: 'truncate', after: 100 }, { kind: 'hang' }],
  list: [throttled(), { kind: 'reset', after: 0 }, { kind: 'stale' }],
  put: [throttled(), { kind: 'reset', after: 100 }, { kind: 'lost-answer' }, { kind: 'hang' }],
  delete: [throttled(), { kind: 'lost-answer' }],
  copy: [throttled(), { kind: 'lost-answer' }],
};

/**
 * Runs a flow once for each call that it makes and each thing that can happen to that call: 503 SlowDown, a connection reset
 * in the middle of a body, a truncated body, a stale listing, silence, an error after the write was done. Each with and
 * without the retries that users get.
 */
export async function sweepFaults<Result>(options: FaultSweepOptions<Result>): Promise<FaultSweepReport> {
  const counts = await countCalls(options);
  let [cases, failed, retried] = [0, 0, 0];
  for (const verb of VERBS) {
    for (const nth of spread(counts.get(verb) ?? 0, options.callsOfVerbMax ?? CALLS_OF_VERB_DEFAULT)) {
      for (const fault of FAULTS[verb]) {
        for (const hasRetries of [true, false]) {
          const swept = await runCase(options, { planned: { verb, nth, fault }, hasRetries });
          cases += 1;
          if (swept.outcome.kind === 'failed') failed += 1;
          if (swept.retries.length > 0) retried += 1;
        }
      }
    }
  }
  return { cases, failed, retried };
}

async function runCase<Result>(
  options: FaultSweepOptions<Result>,
  of: { readonly planned: PlannedFault; readonly hasRetries: boolean },
): Promise<SweptCase<Result>> {
  const { planned, hasRetries } = of;
  const { storage, cleanup } = await options.open();
  try {
    const retries: RetryEvent[] = [];
    const faulty = withTimeout(createFaultyStorage(storage, { plan: [planned] }), { timeoutMs: TIMEOUT_MS });
    const used = hasRetries
      ? withRetry(faulty, {
          attemptsMax: 3,
          baseDelayMs: 1,
          delayMaxMs: 2,
          onRetry: (event) => retries.push(event),
        })
      : faulty;
    const outcome = await options.flow(used).then(
      (result) => ({ kind: 'done', result }) as const,
      (error: unknown) => ({ kind: 'failed', error }) as const,
    );
    const swept = { ...of, name: nameOf(of), retries, outcome, storage };
    await options.check(swept);
    return swept;
  } finally {
    await cleanup();
  }
}

async function countCalls<Result>({
  open,
  flow,
}: FaultSweepOptions<Result>): Promise<Map<FaultyVerb, number>> {
  const { storage, cleanup } = await open();
  try {
    const counted = createFaultyStorage(storage, { plan: [] });
    await flow(counted);
    return new Map(VERBS.map((verb) => [verb, counted.callCount(verb)]));
  } finally {
    await cleanup();
  }
}

/** Numbers from 1 to `count`, at most so many: the first and the last among them, or the middle one alone. */
function spread(count: number, countMax: number): number[] {
  if (count <= countMax) return Array.from({ length: count }, (_, index) => index + 1);
  if (countMax === 1) return [Math.ceil(count / 2)];
  const step = (count - 1) / (countMax - 1);
  return Array.from({ length: countMax }, (_, index) => Math.round(1 + index * step));
}

function throttled(): Fault {
  return { kind: 'error', code: 'STORAGE_THROTTLED' };
}

function nameOf({
  planned,
  hasRetries,
}: {
  readonly planned: PlannedFault;
  readonly hasRetries: boolean;
}): string {
  const { verb, nth, fault } = planned;
  const what = fault.kind === 'error' ? (fault.code ?? 'error') : fault.kind;
  return `${verb} ${nth}: ${what}, ${hasRetries ? 'with' : 'without'} retries`;
}
