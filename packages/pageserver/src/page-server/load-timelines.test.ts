import { indexObjectKey, UNSHARDED } from '@neon-snapshot/neon-layer';
import { createMemoryStorage, forwardStorage, type Storage } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import { createBranch } from '../branches/create-branch.ts';
import { putMadeTimeline, TENANT, TIMELINE } from '../testing/made-timeline.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';

const BRANCHES = ['b', 'c', 'd'].map((digit) => digit.repeat(32));

/** A storage that notes what is listed and read of indexes. */
function watched(storage: Storage): { readonly storage: Storage; readonly calls: string[] } {
  const calls: string[] = [];
  const note = (call: string, key: string) => {
    if (key.includes('index_part.json')) calls.push(`${call} ${key}`);
  };
  const noting = forwardStorage(storage, {
    get: (key, options) => {
      note('get', key);
      return storage.get(key, options);
    },
    list: (options) => {
      note('list', options?.prefix ?? '');
      return storage.list(options);
    },
  });
  return { storage: noting, calls };
}

test('a page server that starts lists and reads the index of each timeline once, those of branches and their ancestors too', async () => {
  await using directory = await makeStateDirectory();
  await using storage = createMemoryStorage();
  await putMadeTimeline(storage);
  const options = { tenantId: TENANT, stateDirectory: directory.path };
  {
    await using server = await openTestServer({ ...options, storage });
    let parentId = TIMELINE;
    for (const timelineId of BRANCHES) {
      await createBranch(server, { parentId, timelineId, start: { kind: 'tip' } });
      parentId = timelineId;
    }
  }
  const { storage: noting, calls } = watched(storage);
  await using server = await openTestServer({ ...options, storage: noting });
  const opened = server.timelines().map(({ timelineId }) => timelineId);
  expect(opened.sort()).toEqual([TIMELINE, ...BRANCHES].sort());
  const tenant = { tenantId: TENANT, shard: UNSHARDED };
  const expected = opened.map((timelineId) => {
    const prefix = indexObjectKey({ tenant, timelineId, generation: 1 }).replace(/-[0-9a-f]{8}$/, '');
    return [prefix, 1, 1];
  });
  const found = expected.map(([prefix]) => [
    prefix,
    calls.filter((call) => call.startsWith(`list ${prefix}`)).length,
    calls.filter((call) => call.startsWith(`get ${prefix}`)).length,
  ]);
  expect(found).toEqual(expected);
});
