import { createMemoryStorage, type RetryEvent, type Storage, withRetry } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { createFaultyStorage, type FaultyVerb, type PlannedFault } from './faulty-storage.ts';
import {
  expectStorageError,
  listKeys,
  listPrefixes,
  patternBytes,
  readObject,
  streamOf,
} from './kit-helpers.ts';

const BYTES = patternBytes(300_000);

function retrying(memory: Storage, plan: readonly PlannedFault[], attemptsMax = 4) {
  const faulty = createFaultyStorage(memory, { plan });
  const events: RetryEvent[] = [];
  const storage = withRetry(faulty, {
    attemptsMax,
    baseDelayMs: 100,
    delayMaxMs: 250,
    random: () => 1,
    sleep: async () => {},
    onRetry: (event) => events.push(event),
  });
  return { faulty, storage, events };
}

const failing = (verb: FaultyVerb, nth: number): PlannedFault => ({ verb, nth, fault: { kind: 'error' } });

describe('withRetry', () => {
  test('repeats what failed with a retryable error, waiting longer each time up to the maximum', async () => {
    const memory = createMemoryStorage();
    await memory.put('key', BYTES);
    const { storage, events, faulty } = retrying(memory, [
      failing('head', 1),
      failing('head', 2),
      failing('head', 3),
    ]);
    expect((await storage.head('key')).sizeBytes).toBe(BYTES.byteLength);
    expect(events.map((event) => [event.attempt, event.delayMs])).toEqual([
      [1, 100],
      [2, 200],
      [3, 250],
    ]);
    expect(faulty.pendingFaults()).toEqual([]);
  });

  test('gives up after the last attempt with the last error', async () => {
    const { storage, faulty } = retrying(
      createMemoryStorage(),
      [failing('delete', 1), failing('delete', 2)],
      2,
    );
    await expectStorageError(storage.delete(['key']), 'STORAGE_UNAVAILABLE');
    expect(faulty.callCount('delete')).toBe(2);
  });

  test('does not repeat what cannot succeed', async () => {
    const { storage, faulty } = retrying(createMemoryStorage(), []);
    await expectStorageError(storage.get('missing'), 'STORAGE_NOT_FOUND');
    expect(faulty.callCount('get')).toBe(1);
  });

  for (const kind of ['reset', 'truncate'] as const) {
    test(`resumes a body after a ${kind}, again and again, from where it broke`, async () => {
      const memory = createMemoryStorage();
      await memory.put('key', BYTES);
      const plan = [0, 70_000, 1, 100_000, 65_536].map(
        (after, index): PlannedFault => ({ verb: 'get', nth: index + 1, fault: { kind, after } }),
      );
      const { storage, faulty } = retrying(memory, plan, 2);
      expect(Buffer.compare(await readObject(storage, 'key'), BYTES)).toBe(0);
      expect(faulty.callCount('get')).toBe(6);
      expect(faulty.pendingFaults()).toEqual([]);
    });
  }

  test('resumes a range within that range', async () => {
    const memory = createMemoryStorage();
    await memory.put('key', BYTES);
    const { storage } = retrying(memory, [{ verb: 'get', nth: 1, fault: { kind: 'reset', after: 5 } }]);
    const found = await readObject(storage, 'key', { offset: 1000, length: 20 });
    expect(found).toEqual(BYTES.slice(1000, 1020));
  });

  test('refuses to go on with another version of the object', async () => {
    const memory = createMemoryStorage();
    await memory.put('key', BYTES);
    const { storage } = retrying(memory, [{ verb: 'get', nth: 1, fault: { kind: 'reset', after: 5 } }]);
    const { body } = await storage.get('key');
    await memory.put('key', BYTES);
    const reading = (async () => {
      for await (const _ of body);
    })();
    await expectStorageError(reading, 'STORAGE_PRECONDITION_FAILED');
  });

  test('a body that never gets further ends with its error', async () => {
    const memory = createMemoryStorage();
    await memory.put('key', BYTES);
    const plan = [1, 2, 3, 4].map(
      (nth): PlannedFault => ({ verb: 'get', nth, fault: { kind: 'truncate', after: 0 } }),
    );
    const { storage } = retrying(memory, plan, 4);
    await expectStorageError(readObject(storage, 'key'), 'STORAGE_TRUNCATED');
  });

  test('goes on with a listing after the last key, folded prefixes included', async () => {
    const memory = createMemoryStorage({ pageSizeMax: 2 });
    const keys = ['a/1', 'a/2', 'a/3', 'b', 'c/1', 'c/2', 'd', 'e/1'];
    for (const key of keys) await memory.put(key, new Uint8Array(1));
    for (let after = 0; after < 3; after++) {
      const plan: PlannedFault[] = [{ verb: 'list', nth: 1, fault: { kind: 'reset', after } }];
      expect(await listKeys(retrying(memory, plan).storage)).toEqual(keys);
      const folding = retrying(memory, plan).storage;
      expect(await listPrefixes(folding, { delimiter: '/' })).toEqual(['a/', 'c/', 'e/']);
      const flat = retrying(memory, plan).storage;
      expect(await listKeys(flat, { delimiter: '/' })).toEqual(['b', 'd']);
    }
  });

  test('sends an array again, whatever happened to it', async () => {
    const memory = createMemoryStorage();
    const plan: PlannedFault[] = [
      failing('put', 1),
      { verb: 'put', nth: 2, fault: { kind: 'reset', after: 10 } },
      { verb: 'put', nth: 3, fault: { kind: 'lost-answer' } },
    ];
    const { storage, faulty } = retrying(memory, plan);
    await storage.put('key', BYTES);
    expect(Buffer.compare(await readObject(memory, 'key'), BYTES)).toBe(0);
    expect(faulty.pendingFaults()).toEqual([]);
  });

  test('repeats a streamed put only while nothing of it was taken', async () => {
    const memory = createMemoryStorage();
    const untouched = retrying(memory, [failing('put', 1)]);
    await untouched.storage.put('first', streamOf(BYTES));
    expect((await memory.head('first')).sizeBytes).toBe(BYTES.byteLength);

    const taken = retrying(memory, [{ verb: 'put', nth: 1, fault: { kind: 'reset', after: 10 } }]);
    await expectStorageError(taken.storage.put('second', streamOf(BYTES)), 'STORAGE_UNAVAILABLE');
    expect(taken.faulty.callCount('put')).toBe(1);
    await expectStorageError(memory.head('second'), 'STORAGE_NOT_FOUND');
  });

  test('does not repeat a conditional put whose outcome is unknown', async () => {
    const memory = createMemoryStorage();
    const lost = retrying(memory, [{ verb: 'put', nth: 1, fault: { kind: 'lost-answer' } }]);
    await expectStorageError(lost.storage.put('key', BYTES, { ifNoneMatch: '*' }), 'STORAGE_UNAVAILABLE');
    expect(lost.faulty.callCount('put')).toBe(1);

    const refused = { kind: 'error', code: 'STORAGE_THROTTLED' } as const;
    const throttled = retrying(memory, [{ verb: 'put', nth: 1, fault: refused }]);
    await throttled.storage.put('other', BYTES, { ifNoneMatch: '*' });
    expect(throttled.faulty.callCount('put')).toBe(2);
  });

  test('an abort during the wait ends the call at once', async () => {
    const controller = new AbortController();
    const faulty = createFaultyStorage(createMemoryStorage(), { plan: [failing('head', 1)] });
    const storage = withRetry(faulty, {
      attemptsMax: 3,
      baseDelayMs: 60_000,
      delayMaxMs: 60_000,
      random: () => 1,
    });
    const call = storage.head('key', { signal: controller.signal });
    setTimeout(() => controller.abort(), 5);
    await expectStorageError(call, 'STORAGE_ABORTED');
  });
});
