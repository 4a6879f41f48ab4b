import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ListPage,
  type PutBody,
  type Storage,
  StorageError,
  type StorageErrorCode,
  type StorageOperation,
  withoutBulkVerbs,
} from '@neon-snapshot/storage-core';

export type FaultyVerb = 'head' | 'get' | 'list' | 'put' | 'delete' | 'copy';

/** One thing that goes wrong with the nth call of a verb. */
export interface PlannedFault {
  readonly verb: FaultyVerb;
  /** Which call of that verb, from 1. */
  readonly nth: number;
  readonly fault: Fault;
}

export type Fault =
  /** The call fails before anything is done. */
  | { readonly kind: 'error'; readonly code?: StorageErrorCode; readonly retryable?: boolean }
  /** The call is done, but its answer is lost: it fails with a retryable error afterwards. Not for `get` and `list`. */
  | { readonly kind: 'lost-answer' }
  /** A `get` body ends without an error after so many bytes; a `list` after so many pages. */
  | { readonly kind: 'truncate'; readonly after: number }
  /** A `get` body, or the taking of a `put` body, fails after so many bytes; a `list` after so many pages. */
  | { readonly kind: 'reset'; readonly after: number }
  /** A `list` does not show the object that was put last. */
  | { readonly kind: 'stale' }
  /** The call starts later. */
  | { readonly kind: 'latency'; readonly delayMs: number }
  /** The call never answers until its signal aborts. */
  | { readonly kind: 'hang' };

export interface FaultyStorage extends Storage {
  /** Calls of a verb so far. */
  callCount(verb: FaultyVerb): number;
  /** Faults that no call has met yet: assert that it is empty, or the test tested nothing. */
  pendingFaults(): readonly PlannedFault[];
}

/** A storage around `inner` in which the planned things go wrong, each once. */
export function createFaultyStorage(
  inner: Storage,
  options: { readonly plan: readonly PlannedFault[] },
): FaultyStorage {
  const plan = new FaultPlan(options.plan);
  let lastPut: string | undefined;
  const innerCopy = inner.copy?.bind(inner);
  return {
    url: inner.url,
    capability: inner.capability,
    // Without the bulk verbs, so that the faults of `get` and `put` are met.
    ...withoutBulkVerbs(inner),
    callCount: (verb) => plan.callCount(verb),
    pendingFaults: () => plan.pending(),
    head: (key, call) => plan.run({ verb: 'head', key, signal: call?.signal }, () => inner.head(key, call)),
    delete: (keys, call) =>
      plan.run({ verb: 'delete', key: keys[0], signal: call?.signal }, () => inner.delete(keys, call)),
    get: (key, call) =>
      plan.run({ verb: 'get', key, signal: call?.signal }, async (fault) => {
        const { info, body } = await inner.get(key, call);
        return {
          info,
          body: breakAfter(body, fault, { operation: 'get', key, ...BYTES }),
        };
      }),
    async *list(call) {
      const fault = await plan.run({ verb: 'list', signal: call?.signal }, async (each) => each);
      const pages = fault?.kind === 'stale' ? without(inner.list(call), lastPut) : inner.list(call);
      yield* breakAfter(pages, fault, { operation: 'list', ...PAGES });
    },
    put: (key, body, call) =>
      plan.run({ verb: 'put', key, signal: call?.signal }, async (fault) => {
        const result = await inner.put(key, breakPutBody(key, body, fault), call);
        lastPut = key;
        return result;
      }),
    ...(innerCopy === undefined
      ? {}
      : {
          copy: (from, to, call) =>
            plan.run({ verb: 'copy', key: from, signal: call?.signal }, () => innerCopy(from, to, call)),
        }),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

async function* without(pages: AsyncIterable<ListPage>, key: string | undefined): AsyncGenerator<ListPage> {
  for await (const page of pages) yield { ...page, objects: page.objects.filter((each) => each.key !== key) };
}

interface FaultyCall {
  readonly verb: FaultyVerb;
  readonly key?: string | undefined;
  readonly signal: AbortSignal | undefined;
}

class FaultPlan {
  readonly #pending: PlannedFault[];
  readonly #calls = new Map<FaultyVerb, number>();

  constructor(plan: readonly PlannedFault[]) {
    this.#pending = [...plan];
  }

  callCount(verb: FaultyVerb): number {
    return this.#calls.get(verb) ?? 0;
  }

  pending(): readonly PlannedFault[] {
    return [...this.#pending];
  }

  async run<Result>(call: FaultyCall, work: (fault: Fault | undefined) => Promise<Result>): Promise<Result> {
    const { verb, key, signal } = call;
    const nth = this.callCount(verb) + 1;
    this.#calls.set(verb, nth);
    const index = this.#pending.findIndex((each) => each.verb === verb && each.nth === nth);
    const fault = index < 0 ? undefined : this.#pending.splice(index, 1)[0]?.fault;
    if (fault?.kind === 'error') {
      throw faultError({
        operation: verb,
        key,
        code: fault.code,
        retryable: fault.retryable,
        what: 'refused',
      });
    }
    if (fault?.kind === 'latency')
      await sleep(fault.delayMs, undefined, signal === undefined ? {} : { signal });
    if (fault?.kind === 'hang') await untilAborted(signal);
    const result = await work(fault);
    if (fault?.kind === 'lost-answer')
      throw faultError({ operation: verb, key, what: 'done, but its answer was lost' });
    return result;
  }
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function breakPutBody(key: string, body: PutBody, fault: Fault | undefined): PutBody {
  if (fault?.kind !== 'reset' && fault?.kind !== 'truncate') return body;
  const chunks = body instanceof Uint8Array ? [body] : body;
  const stream = (async function* () {
    yield* chunks;
  })();
  return breakAfter(stream, fault, { operation: 'put', key, ...BYTES });
}

/** How far into a stream a fault lies: in bytes of a body, in pages of a listing. */
interface Measure<Item> {
  sizeOf(item: Item): number;
  cut(item: Item, size: number): Item;
}

const BYTES: Measure<Uint8Array> = {
  sizeOf: (chunk) => chunk.byteLength,
  cut: (chunk, size) => chunk.subarray(0, size),
};
const PAGES: Measure<ListPage> = { sizeOf: () => 1, cut: (page) => page };

/** Items until `fault.after` of them have passed, in the measure's unit; the item that crosses it is cut. */
async function* breakAfter<Item>(
  items: AsyncIterable<Item>,
  fault: Fault | undefined,
  place: {
    readonly operation: StorageOperation;
    readonly key?: string;
  } & Measure<Item>,
): AsyncGenerator<Item> {
  if (fault?.kind !== 'truncate' && fault?.kind !== 'reset') {
    yield* items;
    return;
  }
  let left = fault.after;
  for await (const item of items) {
    if (left <= 0) break;
    const size = place.sizeOf(item);
    yield size > left ? place.cut(item, left) : item;
    left -= size;
    if (left < 0) break;
  }
  if (fault.kind === 'reset') {
    throw faultError({ operation: place.operation, key: place.key, what: `reset after ${fault.after}` });
  }
}

function faultError(facts: {
  readonly operation: StorageOperation;
  readonly key?: string | undefined;
  readonly code?: StorageErrorCode | undefined;
  readonly retryable?: boolean | undefined;
  readonly what: string;
}): StorageError {
  return new StorageError({
    code: facts.code ?? 'STORAGE_UNAVAILABLE',
    operation: facts.operation,
    message: `planned fault: ${facts.operation} was ${facts.what}`,
    key: facts.key,
    retryable: facts.retryable ?? true,
  });
}
