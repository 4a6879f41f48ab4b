import { createMemoryStorage, readAll } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { LayerPublisher } from './layer-publisher.ts';
import type { StoredLayer } from './stored-layers.ts';

const EARLIER_GENERATION = 1;
const GENERATION = 2;
const keyOf = (name: string, generation: number) => `layers/${name}-${generation}`;

async function publishOver(stored: Uint8Array, built: Uint8Array) {
  const storage = createMemoryStorage();
  const key = keyOf('layer', EARLIER_GENERATION);
  await storage.put(key, stored);
  const earlier: StoredLayer = {
    key,
    name: 'layer',
    generation: EARLIER_GENERATION,
    sizeBytes: stored.length,
  };
  const publisher = new LayerPublisher({
    storage,
    generation: GENERATION,
    keyOf: (name) => keyOf(name, GENERATION),
    earlierLayers: [earlier],
    putCountMax: 2,
  });
  let releaseCount = 0;
  await publisher.publish({ name: 'layer', bytes: built, release: () => (releaseCount += 1) });
  await publisher.drain();
  expect(releaseCount).toBe(1);
  return { storage, publisher };
}

test('a layer that is there with the same bytes is not put again', async () => {
  const { publisher } = await publishOver(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3));
  expect(publisher.reusedCount).toBe(1);
  expect(publisher.layers.get('layer')?.generation).toBe(EARLIER_GENERATION);
  expect(publisher.keys()).toEqual([]);
});

test('a layer of the same name and size with other bytes is put anew', async () => {
  const { publisher, storage } = await publishOver(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 9, 3));
  expect(publisher.reusedCount).toBe(0);
  expect(publisher.layers.get('layer')?.generation).toBe(GENERATION);
  const { body } = await storage.get(keyOf('layer', GENERATION));
  expect(await readAll(body, { sizeMaxBytes: 10 })).toEqual(Uint8Array.of(1, 9, 3));
});
