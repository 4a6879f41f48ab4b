import { setTimeout as sleep } from 'node:timers/promises';
import {
  createMemoryStorage,
  withByteProgress,
  withConcurrencyLimit,
  withPrefix,
  withRateLimit,
  withReadOnly,
  withTimeout,
} from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { createEventualStorage } from './eventual-storage.ts';
import { createFaultyStorage, type FaultyVerb } from './faulty-storage.ts';
import { bytesOf, expectStorageError, listKeys, patternBytes, readObject, streamOf } from './kit-helpers.ts';

describe('withTimeout', () => {
  test.each(['head', 'get', 'list', 'put', 'delete', 'copy'] as const)(
    'ends a %s that hangs',
    async (verb: FaultyVerb) => {
      const memory = createMemoryStorage();
      await memory.put('key', bytesOf('x'));
      const faulty = createFaultyStorage(memory, { plan: [{ verb, nth: 1, fault: { kind: 'hang' } }] });
      const storage = withTimeout(faulty, { timeoutMs: 20 });
      const calls = {
        head: () => storage.head('key'),
        get: () => readObject(storage, 'key'),
        list: () => listKeys(storage),
        put: () => storage.put('key', bytesOf('y')),
        delete: () => storage.delete(['key']),
        copy: async () => storage.copy?.('key', 'other'),
      };
      const error = await calls[verb]().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'STORAGE_TIMEOUT', operation: verb, retryable: true });
      expect(faulty.pendingFaults()).toEqual([]);
    },
  );

  test('does not count the time in which the storage waits for the caller', async () => {
    const storage = withTimeout(createMemoryStorage(), { timeoutMs: 40 });
    const slow = async function* () {
      for (let count = 0; count < 3; count++) {
        await sleep(60);
        yield patternBytes(100_000);
      }
    };
    await storage.put('key', slow());
    let bytes = 0;
    for await (const chunk of (await storage.get('key')).body) {
      bytes += chunk.byteLength;
      await sleep(10);
    }
    expect(bytes).toBe(300_000);
  });

  test("the caller's own signal still says STORAGE_ABORTED", async () => {
    const plan = [{ verb: 'head', nth: 1, fault: { kind: 'hang' } }] as const;
    const storage = withTimeout(createFaultyStorage(createMemoryStorage(), { plan }), { timeoutMs: 60_000 });
    await expectStorageError(storage.head('key', { signal: AbortSignal.timeout(10) }), 'STORAGE_ABORTED');
  });
});

describe('withConcurrencyLimit', () => {
  test('keeps calls within the limit', async () => {
    const memory = createMemoryStorage();
    await memory.put('key', bytesOf('x'));
    let active = 0;
    let activeMax = 0;
    const counting = {
      ...memory,
      url: memory.url,
      capability: memory.capability,
      head: async (key: string) => {
        active += 1;
        activeMax = Math.max(activeMax, active);
        await sleep(2);
        active -= 1;
        return memory.head(key);
      },
      get: memory.get.bind(memory),
      list: memory.list.bind(memory),
      put: memory.put.bind(memory),
      delete: memory.delete.bind(memory),
      [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
    };
    const storage = withConcurrencyLimit(counting, { concurrencyMax: 3 });
    await Promise.all(Array.from({ length: 20 }, () => storage.head('key')));
    expect(activeMax).toBe(3);
  });

  test('copying inside one storage does not deadlock, even with one permit', async () => {
    const storage = withConcurrencyLimit(createMemoryStorage(), { concurrencyMax: 1 });
    await storage.put('a', patternBytes(300_000));
    await storage.put('b', (await storage.get('a')).body);
    expect((await storage.head('b')).sizeBytes).toBe(300_000);
  });

  test('a failed streamed put gives its permit back, and only once', async () => {
    const storage = withConcurrencyLimit(createMemoryStorage(), { concurrencyMax: 1 });
    const failing = async function* () {
      yield bytesOf('x');
      throw new Error('the source broke');
    };
    for (let round = 0; round < 3; round++) await expect(storage.put('key', failing())).rejects.toThrow();
    await storage.put('key', streamOf(bytesOf('x')));
    expect(await listKeys(storage)).toEqual(['key']);
  });

  test('a call that waits for a permit can be aborted', async () => {
    const hang = { verb: 'head', nth: 1, fault: { kind: 'hang' } } as const;
    const faulty = createFaultyStorage(createMemoryStorage(), { plan: [hang] });
    const storage = withConcurrencyLimit(faulty, { concurrencyMax: 1 });
    const controller = new AbortController();
    const stuck = storage.head('key', { signal: controller.signal });
    await expectStorageError(storage.head('key', { signal: AbortSignal.timeout(10) }), 'STORAGE_ABORTED');
    controller.abort(new Error('enough'));
    await expect(stuck).rejects.toThrow('enough');
    await storage.put('key', bytesOf('x'));
  });
});

describe('withRateLimit', () => {
  test('lets one second of bytes pass at once and then holds the rate, but for the smallest bodies', async () => {
    let nowMs = 0;
    const storage = withRateLimit(createMemoryStorage(), {
      bytesPerSecondMax: 100_000,
      nowMs: () => nowMs,
      sleep: async (delayMs) => {
        nowMs += delayMs;
      },
    });
    await storage.put('a', new Uint8Array(100_000));
    expect(nowMs).toBe(0);
    const third = () => new Uint8Array(50_000);
    await storage.put('b', streamOf(third(), third(), third()));
    await storage.put('c', new Uint8Array(5_000));
    expect(nowMs).toBeCloseTo(1500);
    await readObject(storage, 'a');
    await readObject(storage, 'a');
    await storage.put('d', new Uint8Array(5_000));
    expect(nowMs).toBeCloseTo(3550);
    await storage.put('lease.json', new Uint8Array(1_000));
    expect(nowMs).toBeCloseTo(3550);
    await storage.put('e', new Uint8Array(5_000));
    expect(nowMs).toBeCloseTo(3610);
  });
});

describe('withByteProgress', () => {
  test('counts the bytes of gets and puts', async () => {
    const counted = { get: 0, put: 0 };
    const storage = withByteProgress(createMemoryStorage(), {
      onBytes: ({ verb, bytes }) => {
        counted[verb] += bytes;
      },
    });
    await storage.put('a', new Uint8Array(10));
    await storage.put('b', streamOf(new Uint8Array(3), new Uint8Array(4)));
    await readObject(storage, 'a', { offset: 2, length: 5 });
    expect(counted).toEqual({ get: 5, put: 17 });
  });
});

describe('withPrefix', () => {
  test('names the key that the caller used in errors', async () => {
    const storage = withPrefix(createMemoryStorage(), { prefix: 'tenants/1' });
    await expect(storage.get('missing')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND', key: 'missing' });
    expect(storage.url).toBe('memory://local/tenants/1');
  });

  test('a prefix that is no key is refused', () => {
    for (const prefix of ['', '/', '../x', 'a//b']) {
      expect(() => withPrefix(createMemoryStorage(), { prefix })).toThrow('is not a valid key');
    }
  });
});

describe('withReadOnly', () => {
  test('reads and lists, and refuses every writing verb', async () => {
    const memory = createMemoryStorage();
    await memory.put('key', bytesOf('x'));
    const storage = withReadOnly(memory);
    expect(await readObject(storage, 'key')).toEqual(bytesOf('x'));
    expect(await listKeys(storage)).toEqual(['key']);
    await expectStorageError(storage.put('key', bytesOf('y')), 'STORAGE_UNSUPPORTED');
    await expectStorageError(storage.delete(['key']), 'STORAGE_UNSUPPORTED');
    expect(storage.copy).toBeUndefined();
    expect(storage.capability).toMatchObject({
      writable: false,
      serverSideCopy: false,
      conditionalPut: { ifNoneMatch: false, ifMatch: false },
    });
    expect(await readObject(memory, 'key')).toEqual(bytesOf('x'));
  });
});

describe('an eventually consistent store', () => {
  test('shows a change only after so many reads, or when it settles', async () => {
    const storage = createEventualStorage({ lagReads: 2 });
    await storage.put('key', bytesOf('x'));
    await expectStorageError(storage.head('key'), 'STORAGE_NOT_FOUND');
    expect(await listKeys(storage)).toEqual([]);
    expect(await listKeys(storage)).toEqual(['key']);
    await storage.delete(['key']);
    expect((await storage.head('key')).sizeBytes).toBe(1);
    await storage.settle();
    await expectStorageError(storage.head('key'), 'STORAGE_NOT_FOUND');
  });
});
