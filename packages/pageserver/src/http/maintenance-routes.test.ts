import { createHash } from 'node:crypto';
import { isL0, keyToHex, relBlockKey } from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBranch } from '../branches/create-branch.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { isPageServerError } from '../page-server-error.ts';
import { type Call, callTo } from '../testing/http-call.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { openSampleTimeline, type SampleTimeline } from '../testing/sample-timeline.ts';
import { HAS_SAMPLES, SAMPLES_NOTE } from '../testing/sample-timelines.ts';
import { type ListeningService, startHttpServer } from './start-http-server.ts';

const HOUR_MS = 3_600_000;
/** `pg_class`, which every phase of a sample changes. */
const PAGE_KEY = keyToHex(relBlockKey({ spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 }, 0));

describe.runIf(HAS_SAMPLES)(`maintenance that is asked for${SAMPLES_NOTE}`, () => {
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let sample: SampleTimeline;
  let storage: Storage;
  let pageServer: PageServer;
  let service: ListeningService;
  let path: string;
  const call = (given: Call) => callTo(service, given);
  const put = (what: string, body?: object) =>
    call({ method: 'PUT', path: `${path}/${what}`, ...(body === undefined ? {} : { body }) });

  beforeAll(async () => {
    state = await makeStateDirectory();
    sample = await openSampleTimeline('pg17');
    storage = createMemoryStorage();
    await sample.putBase(storage);
    const { tenantId } = sample;
    const options = { storage, tenantId, stateDirectory: state.path, pitrIntervalMs: HOUR_MS };
    pageServer = await openTestServer(options);
    service = await startHttpServer({ pageServer, host: '127.0.0.1', port: 0 });
    path = `/v1/tenant/${tenantId}/timeline/${sample.timelineId}`;
    const timeline = pageServer.timeline(sample.timelineId);
    let at = sample.baseLsn;
    for (const { lsn } of sample.phases) {
      const bytes = sample.wal.slice(Number(at - sample.baseLsn), Number(lsn - sample.baseLsn));
      if (bytes.length > 0) await timeline.ingestWal(bytes, at);
      await timeline.push();
      at = timeline.receivedLsn;
    }
  });

  afterAll(async () => {
    await service?.[Symbol.asyncDispose]();
    await pageServer?.close();
    await state?.[Symbol.asyncDispose]();
  });

  const layers = () => pageServer.timeline(sample.timelineId).source.layers.layers;
  const l0Count = () => layers().filter(({ desc }) => isL0(desc)).length;
  const pageAt = async (lsn: string) => {
    const headers = { accept: 'application/octet-stream' };
    const answer = await call({ path: `${path}/getpage?key=${PAGE_KEY}&lsn=${lsn}`, headers });
    return answer.status === 200 ? createHash('sha256').update(answer.bytes).digest('hex') : answer.status;
  };

  test('compacts what is due, and with force what is not', async () => {
    expect(l0Count()).toBeGreaterThan(1);
    const before = l0Count();
    expect(await put('compact')).toMatchObject({ status: 200, value: null });
    expect(l0Count()).toBe(before);
    const forced =
      'compact?force_l0_compaction=true&force_image_layer_creation=true&wait_until_uploaded=true';
    expect(await put(forced)).toMatchObject({ status: 200, value: null });
    expect(l0Count()).toBe(0);
    const end = pageServer.timeline(sample.timelineId).diskConsistentLsn;
    expect(layers().some(({ desc }) => desc.kind === 'image' && desc.lsnStart > sample.baseLsn)).toBe(true);
    expect(end).toBe(sample.phases.at(-1)?.lsn);
  });

  test('refuses what is no option, or has no use here', async () => {
    expect((await put('compact?force_l0_compaction=maybe')).status).toBe(400);
    expect((await put('compact?dry_run=true')).status).toBe(501);
    expect((await put('compact', { scheduled: true })).status).toBe(501);
    expect((await put('compact', { scheduled: false, compact_lsn_range: null })).status).toBe(200);
    expect((await put('do_gc', { gc_horizon: -1 })).status).toBe(400);
    expect((await put('do_gc', { gc_horizont: 0 })).status).toBe(400);
    const elsewhere = path.replace(sample.timelineId, 'e'.repeat(32));
    expect((await call({ method: 'PUT', path: `${elsewhere}/do_gc` })).status).toBe(404);
  });

  test('collects garbage up to a horizon, and reads only what a snapshot pins before it', async () => {
    const [, p1, p2] = sample.phases.map(({ lsn }) => lsn);
    if (p1 === undefined || p2 === undefined) throw new Error('a sample has four phases');
    const { tenantId, timelineId } = sample;
    const [before1, before2] = [await pageAt(formatLsn(p1)), await pageAt(formatLsn(p2))];
    const { snapshots } = openRefs({ storage, tenantId });
    await snapshots.create('first', { timelineId, lsn: p1 });
    expect((await put('do_gc', { gc_horizon: 1024 ** 3 })).value).toMatchObject({ layers_removed: 0 });
    expect(await pageAt(formatLsn(p2))).toBe(before2);
    const { status, value } = await put('do_gc', { gc_horizon: 0 });
    expect(status).toBe(200);
    const result = Object(value);
    const parts = ['by_cutoff', 'by_pitr', 'by_branches', 'by_leases'].map(
      (name) => result[`layers_needed_${name}`],
    );
    const sum = [...parts, result.layers_not_updated, result.layers_removed].reduce((a, b) => a + b, 0);
    expect(sum).toBe(result.layers_total);
    expect(pageServer.timeline(timelineId).gcCutoff).toBeGreaterThan(p2);
    expect(await pageAt(formatLsn(p1))).toBe(before1);
    expect(await pageAt(formatLsn(p2))).toBe(406);
    const lease = (lsn: string) => call({ method: 'POST', path: `${path}/lsn_lease`, body: { lsn } });
    expect((await lease(formatLsn(p1))).status).toBe(200);
    expect((await lease(formatLsn(p2))).status).toBe(406);
    const start = { kind: 'lsn', lsn: p1 } as const;
    await createBranch(pageServer, { parentId: timelineId, timelineId: 'd'.repeat(32), start });
    const refused = createBranch(pageServer, {
      parentId: timelineId,
      timelineId: 'e'.repeat(32),
      start: { kind: 'lsn', lsn: p2 },
    });
    const error: unknown = await refused.catch((reason: unknown) => reason);
    expect(isPageServerError(error, 'PAGESERVER_LSN_OUT_OF_RANGE')).toBe(true);
  });

  test('takes a location config that says how it is, and refuses another one', async () => {
    const { tenantId } = sample;
    const configure = (body: object, tenant = tenantId) =>
      call({ method: 'PUT', path: `/v1/tenant/${tenant}/location_config`, body });
    const { generation } = pageServer;
    const attached = { mode: 'AttachedSingle', generation, tenant_conf: {} };
    const answer = { shards: [{ shard_id: tenantId, node_id: 1 }], stripe_size: null };
    expect(await configure(attached)).toMatchObject({ status: 200, value: answer });
    const own = (await call({ path: `/v1/location_config/${tenantId}` })).value;
    expect(own).toMatchObject({
      mode: 'AttachedSingle',
      generation,
      tenant_conf: { pitr_interval: '3600s' },
    });
    expect((await call({ path: '/v1/location_config' })).value).toEqual({ tenant_shards: [[tenantId, own]] });
    expect((await configure(Object(own))).status).toBe(200);
    const other = 'e'.repeat(32);
    expect(await configure({ mode: 'Detached', tenant_conf: {} }, other)).toMatchObject({
      status: 200,
      value: null,
    });
    const statuses = [
      await configure({ ...attached, generation: generation - 1 }),
      await configure({ ...attached, mode: 'Nowhere' }),
      await configure({ ...attached, surprise: 1 }),
      await configure({ ...attached, generation: generation + 1 }),
      await configure({ ...attached, mode: 'Detached' }),
      await configure({ ...attached, tenant_conf: { pitr_interval: '1s' } }),
      await configure({ ...attached, shard_count: 2 }),
      await configure(attached, other),
    ].map(({ status }) => status);
    expect(statuses).toEqual([400, 400, 400, 501, 501, 501, 501, 501]);
  });
});
