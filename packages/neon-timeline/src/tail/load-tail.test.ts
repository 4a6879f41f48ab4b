import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { loadStored, PLACE, storeIndex } from '../testing/stored-timeline.ts';
import { adoptTail, loadTail, type Tail } from './load-tail.ts';
import { deleteTailChunks, listTail, obsoleteTailChunks, putTailChunk } from './tail-objects.ts';

const END = lsn(0x1000n);

/** WAL that tells its place. */
function walFrom(start: Lsn, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) => (Number(start) + index) % 251);
}

async function put(storage: Storage, start: bigint, sizeBytes: number, generation = 1): Promise<void> {
  await putTailChunk(storage, {
    ...PLACE,
    start: lsn(start),
    bytes: walFrom(lsn(start), sizeBytes),
    generation,
  });
}

async function timelineWith(
  ...chunks: readonly (readonly [start: bigint, sizeBytes: number, generation?: number])[]
) {
  const storage = createMemoryStorage();
  await storeIndex(storage, { end: END, prevRecordLsn: lsn(0xfc0n) });
  for (const [start, sizeBytes, generation] of chunks) await put(storage, start, sizeBytes, generation);
  return storage;
}

async function load(storage: Storage): Promise<Tail | undefined> {
  return loadTail(storage, { ...PLACE, source: await loadStored(storage) });
}

function bytesOf(tail: Tail | undefined): Uint8Array {
  return Uint8Array.from(Buffer.concat(tail?.pieces ?? []));
}

describe('the raw tail of a timeline in storage', () => {
  it('is the bytes of its chunks, what two of them have only once', async () => {
    await using storage = await timelineWith(
      [0xf80n, 0x90],
      [0x1000n, 0x40],
      [0x1010n, 0x200],
      [0x1208n, 0x10],
    );
    const tail = await load(storage);
    expect(tail).toMatchObject({
      start: 0xf80n,
      end: 0x1218n,
      sizeBytes: 0x298,
      generation: 1,
      hasGap: false,
    });
    expect(bytesOf(tail)).toEqual(walFrom(lsn(0xf80n), 0x298));
  });

  it('has many chunks', async () => {
    const chunks = Array.from({ length: 100 }, (_, index) => [0x1000n + BigInt(index * 64), 64] as const);
    await using storage = await timelineWith(...chunks);
    expect(bytesOf(await load(storage))).toEqual(walFrom(END, 6400));
  });

  it('is none where there are no chunks', async () => {
    await using storage = await timelineWith();
    expect(await load(storage)).toBeUndefined();
  });

  it('is refused where chunks contradict each other', async () => {
    await using storage = await timelineWith([0x1000n, 0x40]);
    const bytes = walFrom(lsn(0x1020n), 0x100);
    bytes[0x1f] = 255;
    await putTailChunk(storage, { ...PLACE, start: lsn(0x1020n), bytes, generation: 1 });
    await expect(load(storage)).rejects.toMatchObject({
      code: 'TIMELINE_TAIL_CONFLICT',
      context: { lsn: '0/1020' },
    });
  });

  it('does not see objects that are no chunks, or not of the size in their name', async () => {
    await using storage = await timelineWith([0x1000n, 0x40]);
    const prefix = `neon-snapshot/${PLACE.tenantId}/wal/${PLACE.timelineId}/`;
    await storage.put(`${prefix}0000000000001040-0000000000001080-00000001`, new Uint8Array(0x3f));
    await storage.put(`${prefix}0000000000001040-0000000000001080-00000009.old`, new Uint8Array(0x40));
    await storage.put(`${prefix}notes`, new Uint8Array(1));
    expect(await load(storage)).toMatchObject({ end: 0x1040n, generation: 1 });
  });

  it('is listed anew when a chunk goes before it is read', async () => {
    await using storage = await timelineWith([0xf00n, 0x100], [0x1000n, 0x40]);
    await storeIndex(storage, { end: END, prevRecordLsn: lsn(0xf00n) });
    const source = await loadStored(storage);
    let listings = 0;
    const racing: Storage = {
      ...storage,
      capability: storage.capability,
      list: (options) => {
        listings += 1;
        return storage.list(options);
      },
      get: async (key, options) => {
        if (listings === 1) await deleteTailChunks(storage, (await listTail(storage, PLACE)).slice(0, 1));
        return storage.get(key, options);
      },
      head: (key, options) => storage.head(key, options),
      put: (key, body, options) => storage.put(key, body, options),
      delete: (keys, options) => storage.delete(keys, options),
    };
    const tail = await loadTail(racing, { ...PLACE, source });
    expect(tail).toMatchObject({ start: 0x1000n, end: 0x1040n });
    expect(listings).toBe(2);
  });
});

describe('a chunk', () => {
  it('is put once: the same bytes again are no error, others are', async () => {
    await using storage = await timelineWith([0x1000n, 0x40]);
    await put(storage, 0x1000n, 0x40);
    const other = { ...PLACE, start: END, bytes: new Uint8Array(0x40), generation: 1 };
    await expect(putTailChunk(storage, other)).rejects.toMatchObject({ code: 'TIMELINE_TAIL_CONFLICT' });
    expect(bytesOf(await load(storage))).toEqual(walFrom(END, 0x40));
  });

  it('is put without a condition where the store has none: its writer has to be alone', async () => {
    await using storage = createMemoryStorage({
      capability: { conditionalPut: { ifNoneMatch: false, ifMatch: false } },
    });
    await storeIndex(storage, { end: END });
    await put(storage, 0x1000n, 0x40);
    expect(bytesOf(await load(storage))).toEqual(walFrom(END, 0x40));
  });

  it('is refused by a store that may list it late', async () => {
    await using storage = createMemoryStorage({ capability: { consistency: 'eventual' } });
    await expect(put(storage, 0x1000n, 0x40)).rejects.toMatchObject({ code: 'TIMELINE_UNSUPPORTED' });
  });

  it('is not empty', async () => {
    await using storage = createMemoryStorage();
    await expect(put(storage, 0x1000n, 0)).rejects.toMatchObject({ code: 'TIMELINE_INVALID_ARGUMENT' });
  });
});

describe('a new owner', () => {
  it('puts what it found as one chunk, after which nothing of an earlier one counts', async () => {
    await using storage = await timelineWith([0xf80n, 0x90], [0x1010n, 0x30]);
    const tail = await load(storage);
    if (tail === undefined) throw new Error('there is no tail');
    const adopted = await adoptTail(storage, { ...PLACE, tail, generation: 2 });
    expect(adopted).toMatchObject({ start: 0xf80n, end: 0x1040n, generation: 2 });
    await put(storage, 0x1040n, 0x40, 1);
    expect(await load(storage)).toMatchObject({ start: 0xf80n, end: 0x1040n, generation: 2 });
  });

  it('needs no chunks of earlier generations, and none that end before the last record of its index', async () => {
    await using storage = await timelineWith(
      [0xf00n, 0x40],
      [0xf40n, 0x80, 2],
      [0xfc0n, 0x40, 2],
      [0x1000n, 8, 2],
      [0x1008n, 8, 3],
    );
    const obsolete = obsoleteTailChunks(await listTail(storage, PLACE), {
      generation: 2,
      keepFrom: lsn(0xfc0n),
    });
    expect(obsolete.map(({ start, generation }) => [Number(start), generation])).toEqual([
      [0xf00, 1],
      [0xf40, 2],
    ]);
    await deleteTailChunks(storage, obsolete);
    expect((await listTail(storage, PLACE)).map(({ start }) => Number(start))).toEqual([
      0xfc0, 0x1000, 0x1008,
    ]);
  });
});
