import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTar } from '@neon-snapshot/archive';
import { keyFromHex, type ParsedKey, parseKey } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import { type CopyBoth, connectPq, type PqConnection } from '@neon-snapshot/pq-proto';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadJwtVerifier } from '../access/jwt.ts';
import type { ListeningService } from '../http/start-http-server.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import { encodeRequest, exchange, type PageRequest, readAnswer, relBody } from '../testing/page-client.ts';
import { openSampleTimeline } from '../testing/sample-timeline.ts';
import {
  HAS_SAMPLES,
  listedValues,
  phaseLsn,
  SAMPLES_NOTE,
  sampleFacts,
  sampleStorage,
} from '../testing/sample-timelines.ts';
import { startPageService } from './start-page-service.ts';

const LATEST = 0xffff_ffff_ffff_ffffn;

const connectTo = (service: ListeningService, password?: string): Promise<PqConnection> =>
  connectPq({
    host: '127.0.0.1',
    port: service.port,
    user: 'cloud_admin',
    tls: 'disable',
    env: {},
    allowCleartextPassword: true,
    ...(password === undefined ? {} : { password }),
  });

/** GetPage or Nblocks. */
function requestFor(key: ParsedKey, at: Lsn): PageRequest | undefined {
  const head = { requestLsn: at, notModifiedSince: at };
  if (key.kind === 'relation-block') return { ...head, tag: 2, body: relBody(key.tag, key.blockNumber) };
  return key.kind === 'relation-size' ? { ...head, tag: 1, body: relBody(key.tag) } : undefined;
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 32);

describe.runIf(HAS_SAMPLES).each(['pg16', 'pg17'])(`pages of %s${SAMPLES_NOTE}`, (sample) => {
  const facts = sampleFacts(sample);
  const tenant = facts.tenant;
  const timeline = facts.timelines.main ?? '';
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let pageServer: PageServer;
  let service: ListeningService;
  let connection: PqConnection;

  beforeAll(async () => {
    state = await makeStateDirectory();
    pageServer = await openTestServer({
      storage: await sampleStorage(sample),
      tenantId: tenant,
      stateDirectory: state.path,
    });
    service = await startPageService({ pageServer, host: '127.0.0.1', port: 0, waitTimeoutMs: 300 });
    connection = await connectTo(service);
  });

  afterAll(async () => {
    await connection?.close();
    await service?.[Symbol.asyncDispose]();
    await pageServer?.close();
    await state?.[Symbol.asyncDispose]();
  });

  const stream = (version: 2 | 3 = 3): Promise<CopyBoth> =>
    connection.copyBoth(`pagestream_v${version} ${tenant} ${timeline}`);

  test.each(['p1', 'p3'])(
    'every page and size at %s is the one that the real page server had',
    async (phase) => {
      const at = phaseLsn(sample, phase);
      const wanted = listedValues({ sample, timeline: 'main', phase }).flatMap(([hex, , digest]) => {
        const request = requestFor(parseKey(keyFromHex(hex)), at);
        return request === undefined ? [] : [{ request, hex, digest }];
      });
      expect(wanted.length).toBeGreaterThan(2000);
      await using pages = await stream();
      const requests = wanted.map(({ request }, index) => encodeRequest({ ...request, id: BigInt(index) }));
      const answers = await exchange(pages, requests);
      const wrong = wanted.filter(({ digest }, index) => {
        const [request, answer] = [requests[index], answers[index]];
        if (!request || !answer || answer[0] !== 100 + (request[0] ?? 0)) return true;
        const result = answer.subarray(request.length);
        if (!answer.subarray(1, request.length).equals(request.subarray(1))) return true;
        // A size is stored the other way round than it is sent.
        return digestOf(result.length === 4 ? Buffer.from(result).reverse() : result) !== digest;
      });
      expect(wrong.map(({ hex }) => hex)).toEqual([]);
    },
  );

  test('version 2 answers without echo, the latest state where all ones are asked for', async () => {
    const end = phaseLsn(sample, 'p3');
    const [hex, , digest] =
      listedValues({ sample, timeline: 'main', phase: 'p3' }).find(
        ([key]) => parseKey(keyFromHex(key)).kind === 'relation-block',
      ) ?? [];
    const parsed = parseKey(keyFromHex(hex ?? ''));
    if (parsed.kind !== 'relation-block') throw new Error('no page is listed');
    await using pages = await stream(2);
    const head = { requestLsn: LATEST, notModifiedSince: end };
    const [page, size, database] = await exchange(pages, [
      encodeRequest({ ...head, tag: 2, body: relBody(parsed.tag, parsed.blockNumber) }),
      encodeRequest({ ...head, tag: 1, body: relBody(parsed.tag) }),
      encodeRequest({ ...head, tag: 3, body: Buffer.from([0, 0, 0, 5]) }),
    ]);
    expect([page?.[0], page?.length, digestOf(page?.subarray(1) ?? Buffer.alloc(0))]).toEqual([
      102,
      8193,
      digest,
    ]);
    expect([size?.[0], size?.length]).toEqual([101, 5]);
    expect(database?.[0]).toBe(104);
    expect(database?.readBigInt64BE(1)).toBeGreaterThan(1_000_000n);
  });

  test('SLRU segments come whole, missing things as Neon answers them, and the stream goes on', async () => {
    const end = phaseLsn(sample, 'p3');
    const head = { requestLsn: end, notModifiedSince: end };
    const nowhere = { spcNode: 1663, dbNode: 5, relNode: 999_999, forkNum: 0 } as const;
    const catalog = { spcNode: 1663, dbNode: 5, relNode: 1249, forkNum: 0 } as const;
    await using pages = await stream(2);
    const answers = await exchange(pages, [
      encodeRequest({ ...head, tag: 4, body: Buffer.from([0, 0, 0, 0, 0]) }),
      encodeRequest({ ...head, tag: 4, body: Buffer.from([1, 0, 0, 0, 77]) }),
      encodeRequest({ ...head, tag: 0, body: relBody(nowhere) }),
      encodeRequest({ ...head, tag: 1, body: relBody(nowhere) }),
      encodeRequest({ ...head, tag: 1, body: relBody({ ...nowhere, forkNum: 2 }) }),
      encodeRequest({ ...head, tag: 2, body: relBody(nowhere, 0) }),
      encodeRequest({ ...head, tag: 2, body: relBody(catalog, 1_000_000) }),
      encodeRequest({ ...head, tag: 2, body: relBody({ ...nowhere, forkNum: 1 }, 0) }),
      encodeRequest({ ...head, tag: 3, body: Buffer.from([0, 0, 0, 77]) }),
      encodeRequest({ ...head, tag: 0, body: relBody({ ...nowhere, relNode: 0 }) }),
    ]);
    const [segment, noSegment, exists, noSize, noFork, noPage, behindEnd, forkPage, noDatabase, noNumber] =
      answers;
    expect(segment?.[0]).toBe(105);
    expect(segment?.length).toBe(1 + 4 + 8192 * (segment?.readUInt32BE(1) ?? 0));
    const readError = Buffer.from('\x67Read error\0', 'latin1');
    for (const answer of [noSegment, noSize, noPage, noDatabase, noNumber]) expect(answer).toEqual(readError);
    expect(forkPage).toEqual(behindEnd);
    expect(exists).toEqual(Buffer.from([100, 0]));
    expect(noFork).toEqual(Buffer.from([101, 0, 0, 0, 0]));
    expect(behindEnd).toEqual(Buffer.concat([Buffer.from([102]), Buffer.alloc(8192)]));
  });

  test('requests without sense are answered as bad, with id and LSNs in version 3', async () => {
    const end = phaseLsn(sample, 'p3');
    const body = relBody({ spcNode: 1663, dbNode: 5, relNode: 1249, forkNum: 0 }, 0);
    const future = lsn(end + 800n);
    await using pages = await stream();
    const requests = [
      encodeRequest({ tag: 2, id: 1n, requestLsn: 0n, notModifiedSince: 0n, body }),
      encodeRequest({ tag: 2, id: 2n, requestLsn: end, notModifiedSince: future, body }),
      encodeRequest({ tag: 2, id: 3n, requestLsn: 8n, notModifiedSince: 8n, body }),
      encodeRequest({ tag: 2, id: 4n, requestLsn: future, notModifiedSince: future, body }),
      encodeRequest({ tag: 2, id: 5n, requestLsn: end, notModifiedSince: end, body: body.subarray(1) }),
      Buffer.from([9]),
      Buffer.alloc(0),
      encodeRequest({ tag: 2, id: 8n, requestLsn: end, notModifiedSince: end, body }),
    ];
    const answers = await exchange(pages, requests);
    const texts = answers.map((answer) => answer.toString('utf8', 25, answer.length - 1));
    expect(answers.map((answer) => answer[0])).toEqual([...new Array(7).fill(103), 102]);
    expect(texts[0]).toBe('Bad request: invalid LSN(0) in request');
    expect(texts[1]).toContain('not_modified_since');
    expect(texts[2]).toContain('garbage collected');
    expect(texts[3]).toContain('LSN timeout');
    expect(texts.slice(4, 7).every((text) => text.startsWith('Bad request'))).toBe(true);
    expect(answers[0]?.subarray(1, 25)).toEqual(requests[0]?.subarray(1, 25));
  });

  test('a base backup comes as tar, at the end or at an LSN; a full one has every relation', async () => {
    const names = async (command: string) => {
      const found: string[] = [];
      for await (const entry of readTar(connection.copyOut(command))) {
        for await (const _chunk of entry.body);
        found.push(entry.path);
      }
      return found;
    };
    const base = await names(`basebackup ${tenant} ${timeline}`);
    expect(base).toContain('global/pg_control');
    expect(base.some((path) => /^base\/5\/\d+$/.test(path))).toBe(true);
    const full = await names(`fullbackup ${tenant} ${timeline} ${formatLsn(phaseLsn(sample, 'p1'))}`);
    expect(full.length).toBeGreaterThan(base.length + 500);
    await expect(names(`basebackup ${tenant} ${timeline} 0/10`)).rejects.toMatchObject({ sqlState: '22023' });
    await expect(
      names(`fullbackup ${tenant} ${timeline} ${formatLsn(phaseLsn(sample, 'p3'))} 0/10`),
    ).rejects.toMatchObject({ sqlState: '22023' });
  });

  test('leases are granted in Unix milliseconds, or null; unknown names are errors with a SQLSTATE', async () => {
    const lease = async (at: Lsn) =>
      (await connection.query(`lease lsn ${tenant} ${timeline} ${formatLsn(at)}`))[0]?.rows[0]?.[0];
    const granted = phaseLsn(sample, 'p1');
    expect(Number(await lease(granted)) - Date.now()).toBeGreaterThan(500_000);
    expect(pageServer.leases.leased(timeline)).toEqual([granted]);
    expect(await lease(lsn(8n))).toBeNull();
    expect((await connection.query('set statement_timeout = 0'))[0]?.rows).toEqual([]);
    const other = '0'.repeat(32);
    await expect(connection.query(`basebackup ${other} ${timeline}`)).rejects.toMatchObject({
      sqlState: '42704',
    });
    await expect(connection.query(`basebackup ${tenant} ${other}`)).rejects.toMatchObject({
      sqlState: '42704',
    });
    for (const command of [
      'select 1',
      'pagestream_v1 a b',
      'basebackup x y',
      `lease page ${tenant} ${timeline} 0/1`,
    ])
      await expect(connection.query(command)).rejects.toMatchObject({ sqlState: '22023' });
  });
});

describe.runIf(HAS_SAMPLES)(`a timeline that takes WAL${SAMPLES_NOTE}`, () => {
  test('a request waits for the LSN since which its page is unmodified, and then gets it', async () => {
    const sample = await openSampleTimeline('pg17');
    const storage = createMemoryStorage();
    await sample.putBase(storage);
    await using state = await makeStateDirectory();
    await using pageServer = await openTestServer({
      storage,
      tenantId: sample.tenantId,
      stateDirectory: state.path,
    });
    await using service = await startPageService({ pageServer, host: '127.0.0.1', port: 0 });
    await using connection = await connectTo(service);
    await using pages = await connection.copyBoth(`pagestream_v2 ${sample.tenantId} ${sample.timelineId}`);
    const phase = sample.phases.find(({ name }) => name === 'main p1');
    const [hex, , digest] =
      phase?.listed.filter(([key]) => parseKey(keyFromHex(key)).kind === 'relation-block').at(-1) ?? [];
    const parsed = parseKey(keyFromHex(hex ?? ''));
    if (phase === undefined || parsed.kind !== 'relation-block') throw new Error('no page is listed');
    pages.write(
      encodeRequest({
        tag: 2,
        requestLsn: LATEST,
        notModifiedSince: phase.lsn,
        body: relBody(parsed.tag, parsed.blockNumber),
      }),
    );
    let isAnswered = false;
    const answer = readAnswer(pages).then((bytes) => {
      isAnswered = true;
      return bytes;
    });
    const timeline = pageServer.timeline(sample.timelineId);
    const end = Number(phase.lsn - sample.baseLsn);
    await timeline.ingestWal(sample.wal.subarray(0, end >> 1), sample.baseLsn);
    expect(isAnswered).toBe(false);
    await timeline.ingestWal(sample.wal.subarray(end >> 1, end), lsn(sample.baseLsn + BigInt(end >> 1)));
    const page = await answer;
    expect([page[0], digestOf(page.subarray(1))]).toEqual([102, digest]);
  });
});

describe.runIf(HAS_SAMPLES)(`access${SAMPLES_NOTE}`, () => {
  const { tenant, timelines } = sampleFacts('pg16');
  const command = `basebackup ${tenant} ${timelines.main}`;

  const makeToken = (key: KeyObject, claims: Readonly<Record<string, unknown>>) => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const head = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part(claims)}`;
    return `${head}.${sign(null, Buffer.from(head), key).toString('base64url')}`;
  };

  test('another address than loopback needs tokens; a token opens what it names', async () => {
    await using state = await makeStateDirectory();
    const storage = await sampleStorage('pg16');
    await using pageServer = await openTestServer({ storage, tenantId: tenant, stateDirectory: state.path });
    await expect(startPageService({ pageServer, host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
      code: 'PAGESERVER_INVALID_ARGUMENT',
    });
    const [known, unknown] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
    const keyFile = join(state.path, 'public.pem');
    await writeFile(keyFile, known.publicKey.export({ type: 'spki', format: 'pem' }));
    const auth = await loadJwtVerifier(keyFile);
    await using service = await startPageService({ pageServer, host: '0.0.0.0', port: 0, auth });
    const backup = async (token: string) => {
      await using connection = await connectTo(service, token);
      let sizeBytes = 0;
      for await (const chunk of connection.copyOut(command)) sizeBytes += chunk.length;
      return sizeBytes;
    };
    const key = known.privateKey;
    expect(await backup(makeToken(key, { scope: 'tenant', tenant_id: tenant }))).toBeGreaterThan(1_000_000);
    expect(await backup(makeToken(key, { scope: 'pageserverapi' }))).toBeGreaterThan(1_000_000);
    for (const claims of [
      { scope: 'tenant', tenant_id: '0'.repeat(32) },
      { scope: 'tenant' },
      { scope: 'admin' },
    ])
      await expect(backup(makeToken(key, claims))).rejects.toMatchObject({ sqlState: '42501' });
    const refused = [
      makeToken(unknown.privateKey, { scope: 'pageserverapi' }),
      makeToken(key, { scope: 'pageserverapi', exp: 1 }),
      makeToken(key, {}),
      `${makeToken(key, { scope: 'pageserverapi' })}x`,
      'eyJhbGciOiJub25lIn0.eyJzY29wZSI6InBhZ2VzZXJ2ZXJhcGkifQ.',
      'nonsense',
    ];
    for (const token of refused)
      await expect(backup(token)).rejects.toMatchObject({ code: 'PQ_AUTHENTICATION', sqlState: '28P01' });
  });
});
