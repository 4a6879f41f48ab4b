import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadJwtVerifier } from '../access/jwt.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { type Call, callTo } from '../testing/http-call.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { openSampleTimeline, type SampleTimeline } from '../testing/sample-timeline.ts';
import {
  HAS_SAMPLES,
  phaseLsn,
  SAMPLES_NOTE,
  sampleFacts,
  sampleKeyspace,
  sampleStorage,
} from '../testing/sample-timelines.ts';
import { type ListeningService, startHttpServer } from './start-http-server.ts';

describe.runIf(HAS_SAMPLES)(`the API of a timeline that takes WAL${SAMPLES_NOTE}`, () => {
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let sample: SampleTimeline;
  let pageServer: PageServer;
  let service: ListeningService;
  let timelinePath: string;
  const call = (given: Call) => callTo(service, given);
  const get = async (path: string) => (await call({ path })).value;
  const failures: unknown[] = [];

  beforeAll(async () => {
    state = await makeStateDirectory();
    sample = await openSampleTimeline('pg17');
    const storage = createMemoryStorage();
    await sample.putBase(storage);
    const { tenantId } = sample;
    pageServer = await openTestServer({ storage, tenantId, stateDirectory: state.path });
    service = await startHttpServer({
      pageServer,
      host: '127.0.0.1',
      port: 0,
      onError: (error) => failures.push(error),
    });
    timelinePath = `/v1/tenant/${tenantId}/timeline/${sample.timelineId}`;
    const end = sample.phases.at(-1)?.lsn ?? sample.baseLsn;
    const wal = sample.wal.subarray(0, Number(end - sample.baseLsn));
    await pageServer.timeline(sample.timelineId).ingestWal(wal, sample.baseLsn);
  });

  afterAll(async () => {
    await service?.[Symbol.asyncDispose]();
    await pageServer?.close();
    await state?.[Symbol.asyncDispose]();
    expect(failures).toEqual([]);
  });

  test('status, tenant and timelines have the shape of Neon', async () => {
    const { tenantId, timelineId } = sample;
    expect((await call({ path: '/healthz' })).status).toBe(200);
    expect(await get('/v1/status')).toEqual({ id: 1 });
    const tenant = {
      id: tenantId,
      state: { slug: 'Active' },
      attachment_status: { slug: 'attached' },
      generation: pageServer.generation,
      timelines: [timelineId],
    };
    expect(await get('/v1/tenant')).toMatchObject([tenant]);
    expect(await get(`/v1/tenant/${tenantId}-0000`)).toMatchObject(tenant);
    const timeline = pageServer.timeline(timelineId);
    const info = {
      tenant_id: tenantId,
      timeline_id: timelineId,
      ancestor_timeline_id: null,
      last_record_lsn: formatLsn(timeline.lastRecordLsn),
      disk_consistent_lsn: formatLsn(sample.baseLsn),
      pg_version: 17,
      state: 'Active',
      wal_source_state: null,
      storage_failure: null,
    };
    expect(await get(`/v1/tenant/${tenantId}/timeline`)).toMatchObject([info]);
    expect(await get(timelinePath)).toMatchObject(info);
  });

  test('the last record is where it ends, with its checksum', async () => {
    const record = pageServer.timeline(sample.timelineId).lastRecord;
    expect(record).toBeDefined();
    expect(await get(`${timelinePath}/last_record`)).toEqual({
      start: formatLsn(record?.start ?? sample.baseLsn),
      end: formatLsn(record?.end ?? sample.baseLsn),
      crc: record?.crc,
    });
  });

  test('a pushed tail is durable, a checkpoint makes layers of it, and the layers can be had', async () => {
    const timeline = pageServer.timeline(sample.timelineId);
    expect(await get(timelinePath)).not.toMatchObject({ lag_bytes: 0 });
    expect((await call({ method: 'PUT', path: `${timelinePath}/push?what=tail` })).status).toBe(200);
    expect(await get(timelinePath)).toMatchObject({
      durable_lsn: formatLsn(timeline.lastRecordLsn),
      disk_consistent_lsn: formatLsn(sample.baseLsn),
      lag_bytes: 0,
    });
    expect((await call({ method: 'PUT', path: `${timelinePath}/checkpoint` })).status).toBe(200);
    expect(await get(timelinePath)).toMatchObject({ disk_consistent_lsn: formatLsn(timeline.lastRecordLsn) });
    expect((await call({ method: 'PUT', path: `${timelinePath}/push?what=all` })).status).toBe(400);
    const { value } = await call({ path: `${timelinePath}/layer` });
    const { historic_layers: layers } = value as {
      historic_layers: readonly {
        readonly kind: string;
        readonly layer_file_name: string;
        readonly layer_file_size: number;
      }[];
    };
    const delta = layers.find(({ kind }) => kind === 'Delta');
    expect(delta).toMatchObject({ l0: true, lsn_end: expect.any(String) });
    const path = `${timelinePath}/layer/${delta?.layer_file_name}`;
    expect((await call({ path })).value).toBeNull();
    const bytes = await call({ path, headers: { accept: 'application/octet-stream' } });
    expect(bytes.bytes.length).toBe(delta?.layer_file_size);
    expect((await call({ path: `${timelinePath}/layer/none` })).status).toBe(404);
  });

  test('any key can be read at any LSN, as bytes or as JSON', async () => {
    const phase = sample.phases.find(({ name }) => name === 'main p2');
    const [key, size, digest] = phase?.listed[40] ?? [];
    const path = `${timelinePath}/getpage?key=${key}&lsn=${formatLsn(phase?.lsn ?? sample.baseLsn)}`;
    const { bytes } = await call({ path, headers: { accept: 'application/octet-stream' } });
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex').slice(0, 32)]).toEqual([
      size,
      digest,
    ]);
    expect(await get(path)).toEqual({ page: [...bytes] });
    expect((await call({ path: `${timelinePath}/getpage?key=00` })).status).toBe(400);
    expect((await call({ path: `${timelinePath}/getpage?key=${'f'.repeat(36)}` })).status).toBe(404);
    expect((await call({ path: `${timelinePath}/getpage?key=${key}&lsn=0/1` })).status).toBe(406);
  });

  test('the keyspace at an LSN is the one that a real page server gave', async () => {
    const place = { sample: 'pg17', timeline: 'main', phase: 'p1' };
    const lsn = formatLsn(phaseLsn(place.sample, place.phase));
    const { keys, ...rest } = (await get(`${timelinePath}/keyspace?at_lsn=${lsn}`)) as {
      readonly keys: unknown;
    };
    expect(keys).toEqual(sampleKeyspace(place));
    expect(rest).toMatchObject({
      at_lsn: lsn,
      sparse_keys: [
        [`62${'0'.repeat(34)}`, `63${'0'.repeat(34)}`],
        [`63${'0'.repeat(34)}`, `63${'0'.repeat(29)}1${'0'.repeat(4)}`],
        [`65${'0'.repeat(34)}`, `66${'0'.repeat(34)}`],
      ],
    });
  });

  test('the LSN of a time is found, or told to be in the future or the past', async () => {
    const at = async (time: string) => await get(`${timelinePath}/get_lsn_by_timestamp?timestamp=${time}`);
    expect(await at('2001-01-01T00:00:00Z')).toMatchObject({ kind: 'past' });
    expect(await at('2101-01-01T00:00:00Z')).toMatchObject({ kind: 'future' });
    expect((await call({ path: `${timelinePath}/get_lsn_by_timestamp?timestamp=soon` })).status).toBe(400);
  });

  test('a lease is granted for what can be read', async () => {
    const path = `${timelinePath}/lsn_lease`;
    const lease = (lsn: string) => call({ method: 'POST', path, body: { lsn } });
    expect((await lease(formatLsn(sample.baseLsn))).value).toEqual({
      valid_until: expect.stringMatching(/Z$/),
    });
    expect((await lease('0/10')).status).toBe(406);
    expect((await lease('x')).status).toBe(400);
    expect(pageServer.leases.pinned()).toEqual([{ timelineId: sample.timelineId, lsn: sample.baseLsn }]);
  });

  test('a branch is made at an LSN, again without harm, read, and deleted', async () => {
    const path = `/v1/tenant/${sample.tenantId}/timeline`;
    const phase = sample.phases.find(({ name }) => name === 'main p1');
    const branchId = 'b'.repeat(32);
    const body = {
      new_timeline_id: branchId,
      ancestor_timeline_id: sample.timelineId,
      ancestor_start_lsn: formatLsn(phase?.lsn ?? sample.baseLsn),
    };
    const info = {
      timeline_id: branchId,
      ancestor_lsn: body.ancestor_start_lsn,
      last_record_lsn: body.ancestor_start_lsn,
    };
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await call({ method: 'POST', path, body })).toMatchObject({ status: 201, value: info });
    const [key, , digest] = phase?.listed[40] ?? [];
    const headers = { accept: 'application/octet-stream' };
    const { bytes } = await call({ path: `${path}/${branchId}/getpage?key=${key}`, headers });
    expect(createHash('sha256').update(bytes).digest('hex').slice(0, 32)).toBe(digest);
    const other = { ...body, ancestor_start_lsn: formatLsn(sample.baseLsn) };
    expect((await call({ method: 'POST', path, body: other })).status).toBe(409);
    const future = { ...body, new_timeline_id: 'c'.repeat(32), ancestor_start_lsn: 'F/0' };
    expect((await call({ method: 'POST', path, body: future })).status).toBe(406);
    expect((await call({ method: 'POST', path, body: { new_timeline_id: 'c'.repeat(32) } })).status).toBe(
      400,
    );
    expect((await call({ method: 'DELETE', path: `${path}/${sample.timelineId}` })).status).toBe(400);
    expect((await call({ method: 'DELETE', path: `${path}/${branchId}` })).status).toBe(202);
    expect((await call({ method: 'DELETE', path: `${path}/${branchId}` })).status).toBe(404);
  });

  test('metrics are Prometheus text, one value a timeline', async () => {
    const { type, bytes } = await call({ path: '/metrics' });
    const text = bytes.toString();
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toContain(
      `pageserver_last_record_lsn{tenant_id="${sample.tenantId}",timeline_id="${sample.timelineId}"} ${pageServer.timeline(sample.timelineId).lastRecordLsn}\n`,
    );
    pageServer.queryTimes.add('get_page_at_lsn', 0.002);
    const again = (await call({ path: '/metrics' })).bytes.toString();
    expect(again).toContain(
      'pageserver_smgr_query_seconds_global_bucket{smgr_query_type="get_page_at_lsn",le="0.001"} 0\n',
    );
    expect(again).toContain(
      'pageserver_smgr_query_seconds_global_bucket{smgr_query_type="get_page_at_lsn",le="+Inf"} 1\n',
    );
    expect(again).toContain(
      'pageserver_smgr_query_seconds_global_count{smgr_query_type="get_page_at_lsn"} 1\n',
    );
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    const line =
      /^(?:# (?:HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(?:\{[a-z_]+="\w+",[a-z_]+="\w+"\})? \d+(?:\.\d+)?(?:e-?\d+)?)$/;
    expect(
      text
        .trimEnd()
        .split('\n')
        .filter((each) => !line.test(each)),
    ).toEqual([]);
  });

  test('what is wrong with a request is said, with Neon’s "msg"', async () => {
    const wrong: readonly (readonly [Call, number])[] = [
      [{ path: '/v1/nothing' }, 404],
      [{ path: '/v1/status', method: 'PUT' }, 405],
      [{ path: `/v1/tenant/${'0'.repeat(32)}` }, 404],
      [{ path: `/v1/tenant/${sample.tenantId}/timeline/${'0'.repeat(32)}` }, 404],
      [{ path: '/v1/tenant/me/timeline' }, 400],
      [{ path: '/v1/tenant/%zz/timeline' }, 400],
      [{ path: `${timelinePath}/wal_source`, method: 'PUT', body: '{' }, 400],
      [{ path: `${timelinePath}/wal_source`, method: 'PUT', body: '[]' }, 400],
      [{ path: `${timelinePath}/wal_source`, method: 'PUT', body: { host: 'h', port: 'x' } }, 400],
      [{ path: `${timelinePath}/wal_source`, method: 'PUT', body: 'x'.repeat(100_000) }, 400],
      [{ path: '/v1/tenant', headers: { origin: 'http://evil.example' } }, 403],
    ];
    for (const [given, status] of wrong) {
      const answer = await call(given);
      expect([given.path, answer.status]).toEqual([given.path, status]);
      expect(answer.value).toEqual({ msg: expect.any(String) });
    }
  });
});

describe.runIf(HAS_SAMPLES)(`access to the API${SAMPLES_NOTE}`, () => {
  test('with tokens, probes are open, a tenant’s token opens the tenant, and the whole server takes pageserverapi', async () => {
    const { tenant } = sampleFacts('pg16');
    await using state = await makeStateDirectory();
    const storage = await sampleStorage('pg16');
    await using pageServer = await openTestServer({ storage, tenantId: tenant, stateDirectory: state.path });
    await expect(startHttpServer({ pageServer, host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
      code: 'PAGESERVER_INVALID_ARGUMENT',
    });
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const keyFile = join(state.path, 'public.pem');
    await writeFile(keyFile, publicKey.export({ type: 'spki', format: 'pem' }));
    await using service = await startHttpServer({
      pageServer,
      host: '127.0.0.1',
      port: 0,
      auth: await loadJwtVerifier(keyFile),
    });
    const status = async (path: string, claims?: object) => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const head = `${part({ alg: 'EdDSA' })}.${part(claims ?? {})}`;
      const token = `${head}.${sign(null, Buffer.from(head), privateKey).toString('base64url')}`;
      const headers = claims === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await callTo(service, { path, headers })).status;
    };
    expect(await status('/healthz')).toBe(200);
    expect(await status('/metrics')).toBe(401);
    expect(await status(`/v1/tenant/${tenant}`)).toBe(401);
    expect(await status(`/v1/tenant/${tenant}`, { scope: 'tenant', tenant_id: tenant })).toBe(200);
    expect(await status(`/v1/tenant/${tenant}`, { scope: 'tenant', tenant_id: '0'.repeat(32) })).toBe(403);
    expect(await status('/v1/tenant', { scope: 'tenant', tenant_id: tenant })).toBe(403);
    expect(await status('/v1/tenant', { scope: 'pageserverapi' })).toBe(200);
  });

  test('a file that is no Ed25519 key is refused', async () => {
    await using state = await makeStateDirectory();
    const file = join(state.path, 'key.pem');
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    for (const content of ['hello', publicKey.export({ type: 'spki', format: 'pem' })]) {
      await writeFile(file, content);
      await expect(loadJwtVerifier(file)).rejects.toMatchObject({ code: 'PAGESERVER_INVALID_ARGUMENT' });
    }
  });
});
