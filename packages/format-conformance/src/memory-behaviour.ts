import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type FileEntry, type SnapshotReader, withEnd } from '@neon-snapshot/format-core';
import { type Storage, withoutBulkVerbs } from '@neon-snapshot/storage-core';
import { expect } from 'vitest';
import { type FormatKitOptions, MEMORY_BYTES_DEFAULT } from './kit-options.ts';
import { type KitTest, kitModel, openReader, writeSnapshot } from './kit-run.ts';
import { makePages } from './model-files.ts';

/** Several times the budget, so that a format that collects everything is caught. */
const LARGE_FACTOR = 4;
const SLAB_PAGES = 128;
/** Slabs of 1 MiB between two looks at the memory, each of which costs a garbage collection. */
const SLABS_A_SAMPLE = 16;
/** Time in which a reader that does not wait for its receiver would fetch far more than its budget. */
const STALL_MS = 300;

export function describeMemory(kitTest: KitTest, kit: FormatKitOptions): void {
  const budget = kit.memoryBytesMax ?? MEMORY_BYTES_DEFAULT;

  kitTest('writes a relation of any size in bounded memory', async (storage) => {
    const before = liveBufferBytes();
    let peak = 0;
    const reader = largeSnapshot(kit, budget * LARGE_FACTOR, (index) => {
      if (index % SLABS_A_SAMPLE === 0) peak = Math.max(peak, liveBufferBytes() - before);
    });
    await writeSnapshot(kit, { reader, storage: discarding(storage) });
    expect(peak, 'bytes of buffers').toBeLessThanOrEqual(budget);
  });

  kitTest('waits for its receiver: what is read ahead is bounded', async (storage) => {
    await writeSnapshot(kit, { reader: largeSnapshot(kit, budget * LARGE_FACTOR), storage });
    let fetched = 0;
    await using reader = await openReader(kit, { storage: counting(storage, (count) => (fetched += count)) });
    const [partition] = reader.partitions(1);
    for await (const entry of partition?.entries ?? []) {
      if (entry.kind !== 'file' || entry.sizeBytes < budget) {
        if (entry.kind === 'file') await drain(entry.body);
        continue;
      }
      fetched = 0;
      for await (const chunk of entry.body) {
        await sleep(STALL_MS);
        expect(fetched - chunk.length, 'bytes read ahead').toBeLessThanOrEqual(budget);
        break;
      }
      return;
    }
    expect.unreachable('the large relation did not come back');
  });
}

/** The model with one relation that is made while it is read. It has no checksums, so that its pages may repeat. */
function largeSnapshot(
  kit: FormatKitOptions,
  bytes: number,
  onChunk: (index: number) => void = () => undefined,
): SnapshotReader {
  const slab = makePages(SLAB_PAGES, 99);
  const slabCount = Math.ceil(bytes / slab.length);
  const { reader } = kitModel(kit, { dataChecksums: false, pageCount: 1 });
  const plan = (reader.plan ?? []).map((file) =>
    file.path === 'base/5/16400' ? { ...file, sizeBytes: slabCount * slab.length } : file,
  );
  const body = async function* () {
    for (let index = 0; index < slabCount; index += 1) {
      onChunk(index);
      yield Uint8Array.from(slab);
    }
  };
  return {
    ...reader,
    plan,
    partitions: () => {
      const [only] = reader.partitions(1);
      return [{ id: '0', plan, entries: withEnd(enlarged(only?.entries ?? none(), plan, body)) }];
    },
  };
}

async function* enlarged(
  entries: AsyncIterable<{ readonly kind: string }>,
  plan: readonly { readonly path: string; readonly sizeBytes: number }[],
  body: () => AsyncIterable<Uint8Array>,
): AsyncGenerator<FileEntry> {
  for await (const entry of entries) {
    if (!isFile(entry)) continue;
    const sizeBytes = plan.find(({ path }) => path === entry.path)?.sizeBytes ?? entry.sizeBytes;
    yield sizeBytes === entry.sizeBytes ? entry : { ...entry, sizeBytes, body: body() };
  }
}

function isFile(entry: { readonly kind: string }): entry is FileEntry {
  return entry.kind === 'file';
}

/** Bytes of the buffers of this thread that are still reachable. */
function liveBufferBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  return process.memoryUsage().arrayBuffers;
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  while ((await chunks.next()).done !== true);
}

async function* none() {}

/** Takes bodies and forgets the large ones. */
function discarding(storage: Storage): Storage {
  const keptBytesMax = 64 * 1024;
  return {
    ...passingOn(storage),
    get: (key, options) => storage.get(key, options),
    put: async (key, body, options) => {
      if (body instanceof Uint8Array && body.length <= keptBytesMax) return storage.put(key, body, options);
      if (!(body instanceof Uint8Array)) await drain(body);
      return storage.put(key, new Uint8Array(), { signal: options?.signal });
    },
  };
}

function counting(storage: Storage, onBytes: (count: number) => void): Storage {
  return {
    ...passingOn(storage),
    put: (key, body, options) => storage.put(key, body, options),
    get: async (key, options) => {
      const { info, body } = await storage.get(key, options);
      const counted = async function* () {
        for await (const chunk of body) {
          onBytes(chunk.length);
          yield chunk;
        }
      };
      return { info, body: counted() };
    },
  };
}

function passingOn(storage: Storage): Omit<Storage, 'get' | 'put'> {
  return {
    url: storage.url,
    capability: storage.capability,
    ...withoutBulkVerbs(storage),
    head: (key, options) => storage.head(key, options),
    list: (options) => storage.list(options),
    delete: (keys, options) => storage.delete(keys, options),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
