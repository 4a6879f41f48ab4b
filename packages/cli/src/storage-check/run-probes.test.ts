import {
  createMemoryStorage,
  type PutOptions,
  type Storage,
  StorageError,
} from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { runStorageProbes, usesOf } from './run-probes.ts';

type Overrides = Partial<Pick<Storage, 'get' | 'list' | 'put' | 'delete'>>;

/** A memory storage that does some verbs in another way. */
function memoryBut(overridesOf: (memory: Storage) => Overrides): Storage {
  const memory = createMemoryStorage();
  return {
    url: memory.url,
    capability: memory.capability,
    head: (key, call) => memory.head(key, call),
    get: (key, call) => memory.get(key, call),
    list: (call) => memory.list(call),
    put: (key, body, call) => memory.put(key, body, call),
    delete: (keys, call) => memory.delete(keys, call),
    copy: (from, to, call) => {
      if (memory.copy === undefined) throw new Error('memory has a copy');
      return memory.copy(from, to, call);
    },
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
    ...overridesOf(memory),
  };
}

function without(options: PutOptions | undefined, name: 'ifNoneMatch' | 'ifMatch'): PutOptions {
  const { [name]: _, ...rest } = options ?? {};
  return rest;
}

const declared = (capability: Parameters<typeof createMemoryStorage>[0]) => createMemoryStorage(capability);
const REFUSED = /`neon init` and `neon start` refuse this store unless --unsafe_no_lease.*two writers/;

const LACKING = [
  {
    what: 'declares no conditional put',
    storage: () => declared({ capability: { conditionalPut: { ifNoneMatch: false, ifMatch: false } } }),
    missing: ['put only if absent', 'let one of 8 puts only if absent win', 'put only if unchanged'],
    cost: REFUSED,
    uses: { snapshots: true, storageDest: 'unsafe' },
  },
  {
    what: 'ignores the condition of a put only if absent',
    storage: () =>
      memoryBut((memory) => ({
        put: (key, body, call) => memory.put(key, body, without(call, 'ifNoneMatch')),
      })),
    missing: ['put only if absent', 'let one of 8 puts only if absent win'],
    cost: REFUSED,
    uses: { snapshots: true, storageDest: 'unsafe' },
  },
  {
    what: 'ignores the condition of a put only if unchanged',
    storage: () =>
      memoryBut((memory) => ({ put: (key, body, call) => memory.put(key, body, without(call, 'ifMatch')) })),
    missing: ['put only if unchanged'],
    cost: REFUSED,
    uses: { snapshots: true, storageDest: 'unsafe' },
  },
  {
    what: 'looks first and puts later, so that several racers win',
    storage: () =>
      memoryBut((memory) => ({
        put: async (key, body, call) => {
          if (
            call?.ifNoneMatch !== undefined &&
            (await memory.head(key).catch(() => undefined)) !== undefined
          )
            return memory.put(key, body, call);
          await new Promise((resolve) => setTimeout(resolve, 5));
          return memory.put(key, body, without(call, 'ifNoneMatch'));
        },
      })),
    missing: ['let one of 8 puts only if absent win'],
    cost: REFUSED,
    uses: { snapshots: true, storageDest: 'unsafe' },
  },
  {
    what: 'declares that it shows changes later',
    storage: () => declared({ capability: { consistency: 'eventual' } }),
    missing: ['show at once what was put'],
    cost: /`neon start` refuses this store: .*acknowledged/,
    uses: { snapshots: true, storageDest: 'no' },
  },
  {
    what: 'has no copy',
    storage: () => declared({ capability: { serverSideCopy: false } }),
    missing: ['copy inside the store'],
    cost: /goes through this machine/,
    uses: { snapshots: true, storageDest: 'yes' },
  },
];

const FAILING = [
  {
    what: 'ignores ranges',
    storage: () => memoryBut((memory) => ({ get: (key) => memory.get(key) })),
    failed: 'get a range',
  },
  {
    what: 'lists in another order',
    storage: () =>
      memoryBut((memory) => ({
        async *list(call) {
          for await (const page of memory.list(call)) yield { ...page, objects: [...page.objects].reverse() };
        },
      })),
    failed: 'list in key order',
  },
  {
    what: 'does not delete',
    storage: () => memoryBut(() => ({ delete: async () => undefined })),
    failed: 'delete',
  },
  {
    what: 'takes no large bodies',
    storage: () =>
      memoryBut((memory) => ({
        put: async (key, body, call) => {
          if ((call?.sizeBytes ?? 0) > 2 ** 20)
            throw new StorageError({
              code: 'STORAGE_TOO_LARGE',
              operation: 'put',
              message: 'too large',
              key,
            });
          return memory.put(key, body, call);
        },
      })),
    failed: 'put a stream of 20 MiB',
  },
];

async function check(storage: Storage) {
  const results = await runStorageProbes(storage, new AbortController().signal);
  const named = (outcome: string) => results.filter((each) => each.outcome === outcome);
  return { results, missing: named('missing'), failed: named('failed'), uses: usesOf(results) };
}

describe('the check of a store', () => {
  it('finds nothing amiss with one that can everything but hold directories, and leaves nothing there', async () => {
    const storage = createMemoryStorage();
    const { missing, failed, uses } = await check(storage);
    expect(missing.map(({ name }) => name)).toEqual(['keep directories and links']);
    expect(missing[0]?.cost).toContain('fetched before Postgres can run on it');
    expect(failed).toEqual([]);
    expect(uses).toEqual({ snapshots: true, storageDest: 'yes' });
    for await (const { objects } of storage.list()) expect(objects).toEqual([]);
  });

  it.each(LACKING)(
    'names what one lacks that $what, and what that costs',
    async ({ storage, missing, cost, uses }) => {
      const found = await check(storage());
      const lacking = found.missing.filter(({ name }) => name !== 'keep directories and links');
      expect(lacking.map(({ name }) => name)).toEqual(missing);
      for (const each of lacking) {
        expect(each.cost).toMatch(cost);
        expect(each.detail).not.toBe('');
      }
      expect(found.failed).toEqual([]);
      expect(found.uses).toEqual(uses);
    },
  );

  it.each(FAILING)('finds one unusable that $what', async ({ storage, failed }) => {
    const found = await check(storage());
    expect(found.failed.map(({ name }) => name)).toContain(failed);
    expect(found.failed.find(({ name }) => name === failed)?.cost).toBe('neon cannot use this store');
    expect(found.uses).toEqual({ snapshots: false, storageDest: 'no' });
  });

  it('sees that one lists an object late, whatever it declares', async () => {
    let latest = '';
    const storage = memoryBut((memory) => ({
      put: (key, body, call) => {
        latest = key;
        return memory.put(key, body, call);
      },
      async *list(call) {
        const hidden = latest;
        latest = '';
        for await (const page of memory.list(call))
          yield { ...page, objects: page.objects.filter(({ key }) => key !== hidden) };
      },
    }));
    const { missing } = await check(storage);
    expect(missing.map(({ name }) => name)).toContain('show at once what was put');
  });
});
