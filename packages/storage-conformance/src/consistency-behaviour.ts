import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import { bytesOf, expectStorageError, type KitTest, listKeys, readObject } from './kit-helpers.ts';

const ROUNDS = 20;

/** When a change is seen: at once, or, where the capability says so, late but then whole. */
export function describeConsistency(kitTest: KitTest): void {
  describe('consistency', () => {
    kitTest('what was put, replaced or deleted is seen as the capability says', async (_, opened) => {
      const { storage, settle } = opened;
      if (storage.capability.consistency === 'strong') return expectSeenAtOnce(storage);
      expect(settle, 'a store that is eventual needs `settle` of its opener').toBeDefined();
      await expectSeenInTheEnd(storage, settle ?? (async () => undefined));
    });
  });
}

async function expectSeenAtOnce(storage: Storage): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const key = `key ${round % 3}/x`;
    const body = bytesOf(`round ${round}`);
    await expectStorageError(storage.head(key), 'STORAGE_NOT_FOUND');
    await storage.put(key, bytesOf('first'));
    expect(await listKeys(storage)).toEqual([key]);
    await storage.put(key, body);
    expect(await readObject(storage, key)).toEqual(body);
    expect((await storage.head(key)).sizeBytes).toBe(body.byteLength);
    await storage.delete([key]);
    expect(await listKeys(storage)).toEqual([]);
    await expectStorageError(storage.get(key), 'STORAGE_NOT_FOUND');
  }
}

/** Before it has settled, what was or what is; never a mixture, never anything else. */
async function expectSeenInTheEnd(storage: Storage, settle: () => Promise<void>): Promise<void> {
  const bodies = [bytesOf('the first, longer body'), bytesOf('second')];
  const states: (string | undefined)[] = [undefined];
  for (const body of bodies) {
    await storage.put('key', body);
    states.push(Buffer.from(body).toString());
    for (let look = 0; look < ROUNDS; look++) expect(states).toContain(await stateOf(storage));
    await settle();
    expect(await stateOf(storage)).toBe(states.at(-1));
    expect(await listKeys(storage)).toEqual(['key']);
  }
  await storage.delete(['key']);
  for (let look = 0; look < ROUNDS; look++) expect(states).toContain(await stateOf(storage));
  await settle();
  expect(await stateOf(storage)).toBeUndefined();
  expect(await listKeys(storage)).toEqual([]);
}

async function stateOf(storage: Storage): Promise<string | undefined> {
  try {
    return Buffer.from(await readObject(storage, 'key')).toString();
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}
