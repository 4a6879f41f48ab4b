import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFaultyStorage } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, readAll, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { makeStateDirectory } from '../testing/memory-server.ts';
import { LayerCache } from './layer-cache.ts';

const PREFIX = `tenants/${'1'.repeat(32)}/timelines/${'2'.repeat(32)}`;
const SIZE = 1_300_000;

function layerKey(number: number): string {
  const end = number.toString(16).toUpperCase().padStart(16, '0');
  return `${PREFIX}/${'0'.repeat(36)}-${'F'.repeat(36)}__0000000000000001-${end}-00000001`;
}

function bytesOf(number: number, size = SIZE): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) bytes[at] = at * 7 + number * 31 + (at >>> 11);
  return bytes;
}

async function bucketOf(count: number) {
  const inner = createMemoryStorage();
  for (let number = 0; number < count; number += 1) await inner.put(layerKey(number), bytesOf(number));
  return createFaultyStorage(inner, { plan: [] });
}

async function read(storage: Storage, number: number, offset: number, length: number): Promise<Uint8Array> {
  const { body, info } = await storage.get(layerKey(number), { range: { offset, length } });
  expect(info.sizeBytes).toBe(SIZE);
  return readAll(body, { sizeMaxBytes: length });
}

describe('a cache of layers', () => {
  it('fetches a layer once for all who read it, and answers from the disk from then on', async () => {
    await using directory = await makeStateDirectory();
    const bucket = await bucketOf(1);
    const cache = await LayerCache.open({
      storage: bucket,
      directory: directory.path,
      sizeMaxBytes: 10 * SIZE,
    });
    const reads = [0, 5, 1_000_000, 1_299_990].map((offset) => read(cache.storage, 0, offset, 10));
    for (const [index, offset] of [0, 5, 1_000_000, 1_299_990].entries())
      expect(await reads[index]).toEqual(bytesOf(0).subarray(offset, offset + 10));
    expect(await read(cache.storage, 0, 10, 1_200_000)).toEqual(bytesOf(0).subarray(10, 1_200_010));
    expect(bucket.callCount('get')).toBe(1);
    cache.close();
    // Also after a restart.
    const again = await LayerCache.open({
      storage: bucket,
      directory: directory.path,
      sizeMaxBytes: 10 * SIZE,
    });
    expect(await read(again.storage, 0, 7, 100)).toEqual(bytesOf(0).subarray(7, 107));
    expect(bucket.callCount('get')).toBe(1);
    again.close();
  });

  it('keeps to its size: the longest unused layers go', async () => {
    await using directory = await makeStateDirectory();
    const bucket = await bucketOf(4);
    const cache = await LayerCache.open({
      storage: bucket,
      directory: directory.path,
      sizeMaxBytes: 2 * SIZE,
    });
    for (const number of [0, 1, 0, 2, 0, 3, 0]) await read(cache.storage, number, 0, 10);
    expect(cache.facts).toMatchObject({ sizeBytes: 2 * SIZE, layerCount: 2 });
    expect(bucket.callCount('get')).toBe(4);
    cache.close();
  });

  it('goes on from the storage where a layer is removed while it is read', async () => {
    await using directory = await makeStateDirectory();
    const bucket = await bucketOf(1);
    const cache = await LayerCache.open({
      storage: bucket,
      directory: directory.path,
      sizeMaxBytes: 2 * SIZE,
    });
    await read(cache.storage, 0, 0, 10);
    const { body } = await cache.storage.get(layerKey(0));
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) {
      chunks.push(chunk);
      await cache.remove(layerKey(0));
    }
    expect(Buffer.compare(Buffer.concat(chunks), bytesOf(0))).toBe(0);
    expect(bucket.callCount('get')).toBe(2);
    cache.close();
  });

  it('keeps what is not in the storage yet, past its size', async () => {
    await using directory = await makeStateDirectory();
    const cache = await LayerCache.open({
      storage: createMemoryStorage(),
      directory: directory.path,
      sizeMaxBytes: SIZE,
    });
    for (const number of [0, 1, 2]) await cache.add(layerKey(number), [bytesOf(number)]);
    expect(await read(cache.storage, 0, 100, 10)).toEqual(bytesOf(0).subarray(100, 110));
    const chunks: Uint8Array[] = [];
    for await (const chunk of cache.chunksOf(layerKey(1))) chunks.push(chunk);
    expect(Buffer.compare(Buffer.concat(chunks), bytesOf(1))).toBe(0);
    for (const number of [0, 1, 2]) cache.unpin(layerKey(number));
    await cache.add(layerKey(3), [bytesOf(3)]);
    expect(cache.facts).toMatchObject({ layerCount: 1 });
    cache.close();
  });

  it('does without a disk that takes nothing: reads go to the storage, new layers stay in memory until they are there', async () => {
    await using directory = await makeStateDirectory();
    const failures: unknown[] = [];
    const blocked = join(directory.path, 'a-file');
    await writeFile(blocked, '');
    const bucket = await bucketOf(1);
    const cache = await LayerCache.open({
      storage: bucket,
      directory: join(blocked, 'cache'),
      sizeMaxBytes: SIZE,
      onFailure: (error) => failures.push(error),
    });
    expect(await read(cache.storage, 0, 50, 10)).toEqual(bytesOf(0).subarray(50, 60));
    await cache.add(layerKey(9), [bytesOf(9).subarray(0, 1000), bytesOf(9).subarray(1000)]);
    expect(await read(cache.storage, 9, 995, 10)).toEqual(bytesOf(9).subarray(995, 1005));
    expect(failures.length).toBeGreaterThan(0);
    cache.unpin(layerKey(9));
    expect(cache.facts.layerCount).toBe(0);
    cache.close();
  });

  it('fetches anew what was lost or cut on the disk, and leaves other objects to the storage', async () => {
    await using directory = await makeStateDirectory();
    const bucket = await bucketOf(1);
    const open = () =>
      LayerCache.open({ storage: bucket, directory: directory.path, sizeMaxBytes: 2 * SIZE });
    const first = await open();
    await read(first.storage, 0, 0, 10);
    first.close();
    await truncate(join(directory.path, layerKey(0)), 100);
    await mkdir(join(directory.path, 'x'), { recursive: true });
    await writeFile(join(directory.path, 'x', 'half.tmp'), 'left behind');
    const second = await open();
    expect(await readdir(join(directory.path, 'x'))).toEqual([]);
    await second.expect(layerKey(0), SIZE);
    expect(await read(second.storage, 0, 1000, 10)).toEqual(bytesOf(0).subarray(1000, 1010));
    expect(bucket.callCount('get')).toBe(2);
    await bucket.put('neon-snapshot/other', Uint8Array.of(1, 2));
    const { body } = await second.storage.get('neon-snapshot/other');
    expect(await readAll(body, { sizeMaxBytes: 10 })).toEqual(Uint8Array.of(1, 2));
    await expect(second.storage.put('x', Uint8Array.of(1))).rejects.toMatchObject({
      code: 'STORAGE_UNSUPPORTED',
    });
    second.close();
  });
});
