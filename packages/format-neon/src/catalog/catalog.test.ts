import { isFormatError } from '@neon-snapshot/format-core';
import {
  encodeIndexPart,
  encodeTenantManifest,
  formatLayerName,
  indexObjectKey,
  manifestObjectKey,
  parseTenantShardId,
} from '@neon-snapshot/neon-layer';
import { lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { executeDeletion, planTenantDeletion, planTimelineDeletion } from './deletion.ts';
import { listTenantIds, listTimelines } from './timelines.ts';

const TENANT = 'a'.repeat(32);
const OTHER_TENANT = 'b'.repeat(32);
const ROOT = '1'.repeat(32);
const BRANCH = '2'.repeat(32);
const LAYER = formatLayerName({
  kind: 'image',
  keyStart: new Uint8Array(18),
  keyEnd: new Uint8Array(18).fill(0xff),
  lsnStart: lsn(0x1000n),
  lsnEnd: lsn(0x1001n),
});

interface TimelineSpec {
  readonly tenant?: string;
  readonly timelineId: string;
  readonly generation?: number;
  readonly ancestorTimelineId?: string;
  readonly end?: bigint;
  readonly layerBytes?: number;
}

async function putTimeline(storage: Storage, spec: TimelineSpec): Promise<void> {
  const tenant = parseTenantShardId(spec.tenant ?? TENANT);
  const end = lsn(spec.end ?? 0x1000n);
  const key = indexObjectKey({ tenant, timelineId: spec.timelineId, generation: spec.generation });
  const bytes = encodeIndexPart({
    layers: new Map([
      [
        LAYER,
        { fileSize: spec.layerBytes ?? 100, ...(tenant.shard.count > 0 ? { shard: tenant.shard } : {}) },
      ],
    ]),
    diskConsistentLsn: end,
    metadata: {
      diskConsistentLsn: end,
      ancestorTimelineId: spec.ancestorTimelineId,
      ancestorLsn: lsn(0n),
      latestGcCutoffLsn: end,
      initdbLsn: end,
      postgresMajor: 17,
    },
  });
  await storage.put(key, bytes);
  await storage.put(key.replace(/index_part.*/, LAYER), new Uint8Array(spec.layerBytes ?? 100));
}

async function allKeys(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list()) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

describe('the catalog of a bucket', () => {
  it('is empty for an empty storage', async () => {
    await using storage = createMemoryStorage();
    expect(await listTenantIds(storage)).toEqual([]);
    expect(await listTimelines(storage)).toEqual([]);
  });

  it('takes the index of the newest generation, and one without generation as the oldest', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { timelineId: ROOT, end: 0x1000n });
    await putTimeline(storage, { timelineId: ROOT, generation: 2, end: 0x2000n });
    await putTimeline(storage, { timelineId: ROOT, generation: 16, end: 0x3000n });
    const [timeline] = await listTimelines(storage);
    expect(timeline).toMatchObject({ state: 'ready', index: { generation: 16, diskConsistentLsn: 0x3000n } });
  });

  it('shows layers without an index as incomplete and counts no tenant for them', async () => {
    await using storage = createMemoryStorage();
    await storage.put(`tenants/${TENANT}/timelines/${ROOT}/${LAYER}-00000001`, new Uint8Array(10));
    expect(await listTimelines(storage)).toEqual([
      {
        tenantId: TENANT,
        timelineId: ROOT,
        shardCount: 0,
        shards: [parseTenantShardId(TENANT)],
        state: 'incomplete',
      },
    ]);
    expect(await listTenantIds(storage)).toEqual([]);
  });

  it('sums the shards of a sharded tenant and leaves other names alone', async () => {
    await using storage = createMemoryStorage();
    for (const shard of ['0002', '0102'])
      await putTimeline(storage, { tenant: `${TENANT}-${shard}`, timelineId: ROOT, generation: 1 });
    await storage.put('tenants/lost+found/x', new Uint8Array(1));
    const timelines = await listTimelines(storage);
    expect(timelines).toHaveLength(1);
    expect(timelines[0]).toMatchObject({ shardCount: 2, index: { layerCount: 2, layerBytes: 200 } });
    expect(await listTenantIds(storage)).toEqual([TENANT]);
  });

  it('takes the shards that a split made, and those from before one that was given up', async () => {
    await using storage = createMemoryStorage();
    const shardsOf = async () => (await listTimelines(storage))[0]?.shards.map(({ shard }) => shard.count);
    await putTimeline(storage, { timelineId: ROOT, end: 0x1000n });
    await putTimeline(storage, { tenant: `${TENANT}-0002`, timelineId: ROOT, end: 0x1000n });
    expect(await shardsOf()).toEqual([0]);
    await putTimeline(storage, { tenant: `${TENANT}-0102`, timelineId: ROOT, end: 0x1000n });
    expect(await shardsOf()).toEqual([2, 2]);
    await putTimeline(storage, { timelineId: ROOT, generation: 2, end: 0x2000n });
    expect(await shardsOf()).toEqual([0]);
  });

  it('ends where the slowest shard ends, and begins where garbage collection got furthest', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { tenant: `${TENANT}-0002`, timelineId: ROOT, end: 0x3000n });
    await putTimeline(storage, { tenant: `${TENANT}-0102`, timelineId: ROOT, end: 0x2000n });
    const [timeline] = await listTimelines(storage);
    expect(timeline?.index).toMatchObject({ diskConsistentLsn: 0x2000n, gcCutoffLsn: 0x3000n });
  });

  it('lists one tenant where it is asked for', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { timelineId: ROOT });
    await putTimeline(storage, { tenant: OTHER_TENANT, timelineId: BRANCH });
    const listed = await listTimelines(storage, { tenantId: OTHER_TENANT });
    expect(listed.map(({ timelineId }) => timelineId)).toEqual([BRANCH]);
  });
});

describe('deletion', () => {
  it('plans a timeline with its index first and takes nothing else', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { timelineId: ROOT, generation: 1 });
    await putTimeline(storage, { timelineId: BRANCH, generation: 1 });
    await storage.put(`neon-snapshot/${TENANT}/wal/${ROOT}/tail`, new Uint8Array(5));
    await storage.put(`neon-snapshot/${TENANT}/cluster/cluster.json`, new Uint8Array(5));
    const before = await allKeys(storage);
    const plan = await planTimelineDeletion(storage, { tenantId: TENANT, timelineId: ROOT });
    expect(plan.keys[0]).toMatch(/index_part\.json-00000001$/);
    expect(plan.keys).toHaveLength(3);
    expect(await allKeys(storage)).toEqual(before);
    await executeDeletion(storage, plan);
    expect((await listTimelines(storage)).map(({ timelineId }) => timelineId)).toEqual([BRANCH]);
    expect((await allKeys(storage)).filter((key) => key.includes(ROOT))).toEqual([]);
    expect(await allKeys(storage)).toContain(`neon-snapshot/${TENANT}/cluster/cluster.json`);
  });

  it('takes the configuration of the cluster with its last timeline', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { timelineId: ROOT, generation: 1 });
    await storage.put(`neon-snapshot/${TENANT}/cluster/cluster.json`, new Uint8Array(5));
    await storage.put(`neon-snapshot/${TENANT}/lease.json`, new Uint8Array(5));
    await executeDeletion(
      storage,
      await planTimelineDeletion(storage, { tenantId: TENANT, timelineId: ROOT }),
    );
    expect(await allKeys(storage)).toEqual([`neon-snapshot/${TENANT}/lease.json`]);
  });

  it('refuses a timeline that another one descends from, naming that one', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { timelineId: ROOT, generation: 1 });
    await putTimeline(storage, { timelineId: BRANCH, generation: 1, ancestorTimelineId: ROOT });
    const error = await planTimelineDeletion(storage, { tenantId: TENANT, timelineId: ROOT }).catch(
      (caught: unknown) => caught,
    );
    expect(isFormatError(error, 'FORMAT_UNSUPPORTED')).toBe(true);
    expect(String(error)).toContain(BRANCH);
  });

  it('refuses a timeline that an offloaded one descends from', async () => {
    await using storage = createMemoryStorage();
    await putTimeline(storage, { timelineId: ROOT, generation: 1 });
    const manifest = encodeTenantManifest({
      offloadedTimelines: [
        { timelineId: BRANCH, ancestorTimelineId: ROOT, archivedAt: '2026-01-01T00:00:00' },
      ],
      otherFields: {},
    });
    await storage.put(manifestObjectKey(parseTenantShardId(TENANT), 1), manifest);
    const plan = planTimelineDeletion(storage, { tenantId: TENANT, timelineId: ROOT });
    await expect(plan).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  });

  it('takes a tenant with every shard and our own objects, and no other tenant', async () => {
    await using storage = createMemoryStorage();
    for (const tenant of [TENANT, `${TENANT}-0002`, OTHER_TENANT])
      await putTimeline(storage, { tenant, timelineId: ROOT, generation: 1 });
    await storage.put(`neon-snapshot/${TENANT}/cluster/cluster.json`, new Uint8Array(5));
    await storage.put(`neon-snapshot/${OTHER_TENANT}/cluster/cluster.json`, new Uint8Array(5));
    const plan = await planTenantDeletion(storage, { tenantId: TENANT });
    expect(plan).toMatchObject({ keys: { length: 5 }, bytesTotal: expect.any(Number) });
    await executeDeletion(storage, plan);
    expect(await listTenantIds(storage)).toEqual([OTHER_TENANT]);
    expect((await allKeys(storage)).filter((key) => key.includes(TENANT))).toEqual([]);
  });

  it('names what is not there', async () => {
    await using storage = createMemoryStorage();
    await expect(planTenantDeletion(storage, { tenantId: TENANT })).rejects.toMatchObject({
      code: 'FORMAT_NOT_FOUND',
    });
    await expect(planTimelineDeletion(storage, { tenantId: TENANT, timelineId: ROOT })).rejects.toMatchObject(
      { code: 'FORMAT_NOT_FOUND' },
    );
  });
});
