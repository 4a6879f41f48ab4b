import { compareKeys, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect } from 'vitest';
import {
  bytesOf,
  type KitTest,
  listKeys,
  patternBytes,
  putAll,
  readObject,
  streamOf,
} from './kit-helpers.ts';

const LANES = 24;
const ROUNDS = 5;

/** Many calls at once: none meets what belongs to another. */
export function describeConcurrency(kitTest: KitTest): void {
  describe('concurrency', () => {
    kitTest('calls of every kind side by side do not mix up their objects', async (storage) => {
      await Promise.all(Array.from({ length: LANES }, (_, lane) => useOwnKeys(storage, lane)));
      expect(await listKeys(storage)).toEqual([]);
    });

    kitTest('racing replacements of one key leave one of them, whole', async (storage) => {
      const bodies = Array.from({ length: LANES }, (_, lane) => patternBytes(50_000 + lane * 1000, lane));
      await Promise.all(
        bodies.map((body, lane) => storage.put('key', lane % 2 === 0 ? body : streamOf(body))),
      );
      const found = await readObject(storage, 'key');
      const winner = bodies.find((body) => Buffer.compare(body, found) === 0);
      expect(winner, `${found.byteLength} bytes that nobody put`).toBeDefined();
      expect((await storage.head('key')).sizeBytes).toBe(found.byteLength);
    });

    kitTest('the same keys may be deleted by several at once', async (storage) => {
      const keys = Array.from({ length: 40 }, (_, index) => `dir/${index % 5}/${index}`);
      await putAll(storage, keys);
      await Promise.all(Array.from({ length: 4 }, () => storage.delete(keys)));
      expect(await listKeys(storage)).toEqual([]);
    });

    kitTest(
      'a listing has every key that is there all the time, once, in order, while others come and go',
      async (storage) => {
        const lasting = Array.from({ length: 60 }, (_, index) => `d${index % 4}/${index}/lasting`);
        await putAll(storage, lasting);
        let isOver = false;
        const churn = async (lane: number) => {
          for (let round = 0; round < ROUNDS; round++) {
            const keys = Array.from({ length: 8 }, (_, index) => `d${index % 4}/${index * 7}/${lane}`);
            await putAll(storage, keys, 4);
            await storage.delete(keys);
          }
        };
        const watch = async () => {
          do {
            const found = await listKeys(storage);
            expect([...new Set(found)].sort(compareKeys)).toEqual(found);
            expect(found.filter((key) => key.endsWith('lasting'))).toEqual([...lasting].sort(compareKeys));
          } while (!isOver);
        };
        const churning = Promise.all([churn(0), churn(1), churn(2)]).finally(() => {
          isOver = true;
        });
        await Promise.all([churning, watch()]);
      },
    );
  });
}

async function useOwnKeys(storage: Storage, lane: number): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const key = `lane ${lane}/${round}`;
    const body = patternBytes(3000 + 7000 * (lane % 5), lane * ROUNDS + round);
    await storage.put(key, lane % 2 === 0 ? body : streamOf(body.subarray(0, 1000), body.subarray(1000)));
    const [whole, part, info, keys] = await Promise.all([
      readObject(storage, key),
      readObject(storage, key, { offset: 500, length: 1000 }),
      storage.head(key),
      listKeys(storage, { prefix: `lane ${lane}/` }),
    ]);
    expect(Buffer.compare(whole, body)).toBe(0);
    expect(Buffer.compare(part, body.subarray(500, 1500))).toBe(0);
    expect(info.sizeBytes).toBe(body.byteLength);
    expect(keys).toEqual([key]);
    await storage.put(key, bytesOf('done'));
    await storage.delete([key]);
  }
}
