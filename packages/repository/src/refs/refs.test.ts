import { createFaultyStorage, type PlannedFault } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { openRefs } from './refs.ts';

const TENANT = 'a'.repeat(32);
const TIMELINE = 'b'.repeat(32);
const OTHER = 'c'.repeat(32);
const CREATED = new Date('2026-11-24T10:00:00Z');
const BRANCHES = `neon-snapshot/${TENANT}/refs/branches`;
const SNAPSHOTS = `neon-snapshot/${TENANT}/refs/snapshots`;

function refsOn(storage: Storage) {
  return openRefs({ storage, tenantId: TENANT, now: () => CREATED });
}

function setUp(plan: readonly PlannedFault[] = []) {
  const inner = createMemoryStorage();
  const storage = createFaultyStorage(inner, { plan });
  return { inner, storage, ...refsOn(storage) };
}

const utf8 = (text: string) => new TextEncoder().encode(text);

function snapshotJson(changes: Record<string, unknown> = {}): Uint8Array {
  const created_at = CREATED.toISOString();
  const whole = { version: 1, ref_id: 'x', timeline_id: TIMELINE, lsn: '0/10', created_at, ...changes };
  return utf8(JSON.stringify(whole));
}

describe('names', () => {
  test('stand for a timeline, or for a timeline at an LSN, and are listed in order', async () => {
    const { branches, snapshots } = setUp();
    await branches.create('main', { timelineId: TIMELINE });
    await branches.create('Feature-1.x', { timelineId: OTHER });
    const lsn = 0x1_0000_00ffn;
    await snapshots.create('before-upgrade', { timelineId: TIMELINE, lsn });
    expect(await branches.list()).toEqual([
      { name: 'Feature-1.x', timelineId: OTHER, createdAt: CREATED },
      { name: 'main', timelineId: TIMELINE, createdAt: CREATED },
    ]);
    expect(await snapshots.get('before-upgrade')).toEqual({ timelineId: TIMELINE, lsn, createdAt: CREATED });
    expect(await snapshots.get('other')).toBeUndefined();
  });

  test('are given once, and are free again after removal', async () => {
    const { branches } = setUp();
    await branches.create('main', { timelineId: TIMELINE });
    const taken = { code: 'REPOSITORY_REF_EXISTS', context: { timelineId: TIMELINE } };
    await expect(branches.create('main', { timelineId: OTHER })).rejects.toMatchObject(taken);
    expect(await branches.remove('main')).toMatchObject({ name: 'main', timelineId: TIMELINE });
    expect(await branches.list()).toEqual([]);
    await expect(branches.remove('main')).rejects.toMatchObject({ code: 'REPOSITORY_REF_NOT_FOUND' });
    await branches.create('main', { timelineId: OTHER });
    expect(await branches.get('main')).toMatchObject({ timelineId: OTHER });
  });

  test.each([
    '',
    '.',
    '..',
    '../lease',
    'a/b',
    '-x',
    'ü',
    'a b',
    'x.',
    'x.json',
    'a'.repeat(101),
    TIMELINE,
    TIMELINE.toUpperCase(),
    'x\n',
  ])('%j is refused', async (name) => {
    const { branches, storage } = setUp();
    const refusal = { code: 'REPOSITORY_REF_NAME' };
    await expect(branches.create(name, { timelineId: TIMELINE })).rejects.toMatchObject(refusal);
    await expect(branches.get(name)).rejects.toMatchObject(refusal);
    await expect(branches.remove(name)).rejects.toMatchObject(refusal);
    expect(storage.callCount('put') + storage.callCount('get')).toBe(0);
  });

  test('need a store with conditional puts', async () => {
    const storage = createMemoryStorage({
      capability: { conditionalPut: { ifNoneMatch: false, ifMatch: false } },
    });
    const { branches } = refsOn(storage);
    const refusal = { code: 'REPOSITORY_REF_UNSUPPORTED' };
    await expect(branches.create('main', { timelineId: TIMELINE })).rejects.toMatchObject(refusal);
  });
});

describe('of many who race', () => {
  test('exactly one gets a name, and exactly one frees it', async () => {
    for (let round = 0; round < 50; round += 1) {
      const { storage } = setUp();
      const racers = Array.from({ length: 8 }, () => refsOn(storage).branches);
      const created = await Promise.allSettled(
        racers.map((branches, i) => branches.create('main', { timelineId: String(i).repeat(32) })),
      );
      const winner = created.findIndex(({ status }) => status === 'fulfilled');
      expect(created.filter(({ status }) => status === 'fulfilled').length).toBe(1);
      expect(await racers[0]?.get('main')).toMatchObject({ timelineId: String(winner).repeat(32) });
      const removed = await Promise.allSettled(racers.map((branches) => branches.remove('main')));
      expect(removed.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    }
  });

  test('a remover never frees a name that was given anew', async () => {
    const { storage, branches } = setUp();
    await branches.create('main', { timelineId: TIMELINE });
    const outcomes = await Promise.allSettled([
      branches.remove('main').then(() => refsOn(storage).branches.create('main', { timelineId: OTHER })),
      refsOn(storage).branches.remove('main'),
    ]);
    const left = await branches.get('main');
    const both = outcomes.every(({ status }) => status === 'fulfilled');
    expect(left?.timelineId).toBe(both ? undefined : outcomes[0]?.status === 'fulfilled' ? OTHER : undefined);
  });
});

describe('a put whose answer is lost', () => {
  test('has given the name, and has freed it', async () => {
    const plan: PlannedFault[] = [1, 2].map((nth) => ({ verb: 'put', nth, fault: { kind: 'lost-answer' } }));
    const { branches, storage } = setUp(plan);
    await branches.create('main', { timelineId: TIMELINE });
    expect(await branches.get('main')).toMatchObject({ timelineId: TIMELINE });
    await branches.remove('main');
    expect(await branches.get('main')).toBeUndefined();
    expect(storage.pendingFaults()).toEqual([]);
  });

  test('that was not done is an error of the storage, and the name stays free', async () => {
    const { branches, storage } = setUp([{ verb: 'put', nth: 1, fault: { kind: 'error' } }]);
    await expect(branches.create('main', { timelineId: TIMELINE })).rejects.toMatchObject({
      name: 'StorageError',
    });
    expect(await branches.get('main')).toBeUndefined();
    expect(storage.pendingFaults()).toEqual([]);
  });
});

describe('content that nobody here wrote', () => {
  test.each([
    ['no JSON', utf8('{'), /no JSON/],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /no JSON/],
    ['a list', utf8('[]'), /no JSON object/],
    ['null', utf8('null'), /no JSON object/],
    ['an unknown version', snapshotJson({ version: 2 }), /version is 2/],
    ['no timeline', snapshotJson({ timeline_id: '../../x' }), /timeline_id/],
    ['an LSN of another form', snapshotJson({ lsn: 16 }), /lsn/],
    ['an LSN of too many digits', snapshotJson({ lsn: '123456789/0' }), /lsn/],
    ['no time', snapshotJson({ created_at: 'yesterday' }), /created_at/],
    ['no id', snapshotJson({ ref_id: '' }), /ref_id/],
  ])('is an error that names the object: %s', async (_, bytes, message) => {
    const { inner, snapshots } = setUp();
    await inner.put(`${SNAPSHOTS}/s.json`, bytes);
    const refusal = { code: 'REPOSITORY_REF_INVALID', message: expect.stringMatching(message) };
    await expect(snapshots.list()).rejects.toMatchObject(refusal);
    await expect(snapshots.get('s')).rejects.toMatchObject({
      ...refusal,
      context: { place: `${inner.url}/${SNAPSHOTS}/s.json` },
    });
  });

  test('that is too large is not read into memory', async () => {
    const { inner, snapshots } = setUp();
    await inner.put(`${SNAPSHOTS}/s.json`, new Uint8Array(70_000).fill(0x20));
    await expect(snapshots.list()).rejects.toMatchObject({ name: 'StorageError' });
  });

  test('among the names is passed over only where it cannot be one', async () => {
    const { inner, branches, snapshots } = setUp();
    await inner.put(`${BRANCHES}/.DS_Store`, utf8('x'));
    await inner.put(`${BRANCHES}/main.json`, snapshotJson({ future: true }));
    expect(await branches.list()).toMatchObject([{ name: 'main', timelineId: TIMELINE }]);
    await inner.put(`${SNAPSHOTS}/a b.json`, snapshotJson());
    await expect(snapshots.list()).rejects.toMatchObject({ code: 'REPOSITORY_REF_INVALID' });
  });
});
