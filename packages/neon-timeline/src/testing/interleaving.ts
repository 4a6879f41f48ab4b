/*
 * Runs of several programs on one storage in which every call to it is a step, and a seed decides whose step comes next, and who dies:
 * then its open call may still be carried out at any later time, as that of a writer whose process or network was stopped.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { ListPage, Storage } from '@neon-snapshot/storage-core';

interface Step {
  readonly actor: number;
  readonly run: () => Promise<void>;
}

export interface InterleavedRun {
  readonly storage: Storage;
  readonly seed: number;
  /** Of 1000 steps so many are the last one of their program. */
  readonly deathsPerMille: number;
  readonly actors: readonly ((storage: Storage) => Promise<void>)[];
}

/** Returns when every program has ended or is dead and every call was made or given up. An unexpected failure of a program is thrown. */
export async function interleave(run: InterleavedRun): Promise<void> {
  const random = randomOf(run.seed);
  const steps: Step[] = [];
  const dead = new Set<number>();
  const failures: unknown[] = [];
  run.actors.forEach((actor, index) => {
    const storage = steppedStorage(run.storage, (step) => steps.push({ actor: index, run: step }));
    actor(storage).catch((error: unknown) => failures.push(error));
  });
  await turn();
  while (steps.length > 0 && failures.length === 0) {
    const index = Math.floor(random() * steps.length);
    const [step] = steps.splice(index, 1);
    if (step === undefined) break;
    if (!dead.has(step.actor) && random() * 1000 < run.deathsPerMille) {
      dead.add(step.actor);
      // Its call is carried out later, or never.
      if (random() < 0.5) steps.push(step);
      continue;
    }
    const result = step.run();
    if (!dead.has(step.actor)) await result;
    await turn();
  }
  if (failures.length > 0) throw failures[0];
}

/** Each call is made whole, its body or pages included, when its step comes; the answer of a dead one reaches nobody. */
function steppedStorage(inner: Storage, enqueue: (step: () => Promise<void>) => void): Storage {
  const step = <T>(call: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      enqueue(() => call().then(resolve, reject));
    });
  return {
    ...inner,
    url: inner.url,
    capability: inner.capability,
    head: (key, options) => step(() => inner.head(key, options)),
    get: (key, options) =>
      step(async () => {
        const { info, body } = await inner.get(key, options);
        const chunks: Uint8Array[] = [];
        for await (const chunk of body) chunks.push(chunk);
        return { info, body: itemsOf(chunks) };
      }),
    async *list(options) {
      yield* await step(async () => {
        const pages: ListPage[] = [];
        for await (const page of inner.list(options)) pages.push(page);
        return pages;
      });
    },
    put: (key, body, options) => step(() => inner.put(key, body, options)),
    delete: (keys, options) => step(() => inner.delete(keys, options)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function* itemsOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** Numbers from 0 to 1 (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
