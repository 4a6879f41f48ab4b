import type { FormatOptions } from '@neon-snapshot/format-core';
import { loadTimeline } from '@neon-snapshot/neon-layer';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { bytesOf, IDS, keysOf, readFiles, TENANT, TIMELINE, write } from './testing/made-up-runs.ts';
import { type MadeUpOptions, makePages, makeSnapshot } from './testing/made-up-snapshot.ts';
import { watchPuts } from './testing/watched-storage.ts';

const SOLE = { sole_tenant: true };
/** Another machine, later: the lease of whoever was killed has expired. */
const LATER = { clockOffsetMs: 60_000 };

/** What a storage held after each put of an import: the states in which a kill may leave it. */
async function statesOf(options: MadeUpOptions, ids: FormatOptions) {
  const states: Storage[] = [];
  const objects = new Map<string, Uint8Array>();
  const inner = createMemoryStorage();
  const recording: Storage = {
    ...watchPuts(inner, () => undefined),
    capability: { ...inner.capability, serverSideCopy: false },
    url: inner.url,
    async put(key, body, call) {
      const result = await inner.put(key, body, call);
      objects.set(key, await bytesOf(inner, key));
      const state = createMemoryStorage();
      for (const [each, bytes] of objects) await state.put(each, bytes);
      states.push(state);
      return result;
    },
    async delete(keys) {
      for (const key of keys) objects.delete(key);
      await inner.delete(keys);
    },
  };
  await write(makeSnapshot(options).reader, recording, ids);
  return states;
}

async function layersOf(storage: Storage): Promise<string[]> {
  return (await keysOf(storage)).filter((key) => key.includes('__'));
}

const isTaken = async (storage: Storage) => (await keysOf(storage)).some((key) => key.includes('index_part'));

async function again(storage: Storage, options: MadeUpOptions, ids: FormatOptions) {
  const puts: string[] = [];
  const watched = watchPuts(storage, (key) => puts.push(key));
  const outcome = await write(makeSnapshot(options).reader, watched, ids, undefined, LATER);
  return { ...outcome, layerPuts: puts.filter((key) => key.includes('__')) };
}

describe.each([
  ['into a named tenant', IDS],
  ['into an empty destination', SOLE],
])('an import %s, killed after any of its puts', (_, ids) => {
  test('goes on where it stopped, and leaves what one run would have left', async () => {
    const states = await statesOf({}, ids);
    expect(states.length).toBeGreaterThan(10);
    let reusedMax = 0;
    for (const [index, state] of states.entries()) {
      if (await isTaken(state)) continue;
      const before = await layersOf(state);
      const { result, layerPuts } = await again(state, {}, ids);
      expect(layerPuts.length, `state ${index}`).toBe(Number(result.facts.layers) - before.length);
      expect(result.facts.layers_reused, `state ${index}`).toBe(before.length);
      reusedMax = Math.max(reusedMax, before.length);
      const { files } = makeSnapshot();
      const found = await readFiles(state);
      for (const [path, bytes] of files) expect(found.get(path), path).toEqual(bytes);
      await expectTidy(state, result.facts);
    }
    expect(reusedMax).toBe(5);
  });
});

/** The index names exactly the layers that are there, with their sizes, and nothing of the journal is left. */
async function expectTidy(storage: Storage, facts: Readonly<Record<string, unknown>>): Promise<void> {
  const tenant = String(facts.tenant_id);
  const timelineId = String(facts.timeline_id);
  const { index } = await loadTimeline(storage, { tenant, timelineId });
  const listed: string[] = [];
  for (const [name, { fileSize, generation }] of index.layers) {
    const suffix = generation?.toString(16).padStart(8, '0');
    const key = `tenants/${tenant}/timelines/${timelineId}/${name}-${suffix}`;
    listed.push(key);
    expect((await storage.head(key)).sizeBytes).toBe(fileSize);
  }
  expect((await layersOf(storage)).toSorted()).toEqual(listed.toSorted());
  const own = (await keysOf(storage)).filter((key) => key.startsWith('neon-snapshot/'));
  expect(own.filter((key) => key.includes('import'))).toEqual([]);
}

describe('an import that goes on', () => {
  async function interrupted(ids: FormatOptions, options: MadeUpOptions = {}) {
    const states = await statesOf(options, ids);
    const last = states.findIndex((_, index) => index > states.length - 4);
    for (const state of states.slice(0, last).reverse()) if (!(await isTaken(state))) return state;
    throw new Error('there is a state before the index');
  }

  test('with another concurrency is right as well', async () => {
    const files = {
      'base/5/20000': makePages(200, { seed: 5 }),
      'base/5/20001': makePages(100, { seed: 9 }),
    };
    const state = await interrupted(IDS, { files });
    const { reader } = makeSnapshot({ files });
    const { result } = await write(reader, state, IDS, undefined, { ...LATER, concurrency: 1 });
    expect((await readFiles(state)).get('base/5/20000')).toEqual(files['base/5/20000']);
    await expectTidy(state, result.facts);
  });

  test('keeps generations: what is put anew has the next one, what was there its own', async () => {
    const state = await interrupted(IDS);
    const [kept, lost] = await layersOf(state);
    await state.delete([lost ?? '']);
    const { result, layerPuts } = await again(state, {}, IDS);
    expect(result.facts.generation).toBe(2);
    expect(layerPuts).toEqual([lost?.replace(/1$/, '2')]);
    expect(await keysOf(state)).toContain(kept);
    await expectTidy(state, result.facts);
  });

  test('puts a layer again that is there with another size', async () => {
    const state = await interrupted(IDS);
    const [damaged] = await layersOf(state);
    await state.put(damaged ?? '', new Uint8Array(100));
    const { result } = await again(state, {}, IDS);
    expect((await readFiles(state)).get('base/5/1259')).toBeDefined();
    await expectTidy(state, result.facts);
  });

  test('and fails leaves nothing of any run', async () => {
    const state = await interrupted(IDS);
    const pages = makePages(70);
    pages[5000] = 77;
    await expect(again(state, { files: { 'base/5/1259': pages } }, IDS)).rejects.toMatchObject({
      code: 'FORMAT_CORRUPT_PAGE',
    });
    expect(await keysOf(state)).toEqual([]);
  });

  test('waits for nobody but refuses while the first run lives', async () => {
    const state = await interrupted(IDS);
    const before = await keysOf(state);
    await expect(write(makeSnapshot().reader, state)).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_HELD',
      context: { holderPid: process.pid },
    });
    expect(await keysOf(state)).toEqual(before);
    const { result } = await write(makeSnapshot().reader, state, { ...IDS, take_over: true });
    expect(result.facts).toMatchObject({ generation: 2, tenant_id: TENANT, timeline_id: TIMELINE });
  });

  test('of another state of the source is refused where the tenant is named', async () => {
    const state = await interrupted(IDS);
    const before = await keysOf(state);
    const files = { 'base/5/1259': makePages(71) };
    await expect(again(state, { files }, IDS)).rejects.toMatchObject({
      code: 'FORMAT_NOT_EMPTY',
      message: expect.stringContaining(`neon tenant delete --tenant_id=${TENANT}`),
    });
    expect(await keysOf(state)).toEqual(before);
  });

  test('of another state of the source makes a new tenant where none is named, and says what stays', async () => {
    const state = await interrupted(SOLE);
    const stays = await layersOf(state);
    const files = { 'base/5/1259': makePages(71) };
    const { warnings } = await again(state, { files }, SOLE);
    expect(warnings.join()).toContain('neon tenant delete --tenant_id=');
    expect(await keysOf(state)).toEqual(expect.arrayContaining(stays));
    expect((await readFiles(state)).get('base/5/1259')).toEqual(files['base/5/1259']);
  });
});
