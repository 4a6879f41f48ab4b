import { chown, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type PostgresServer, startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPq } from '../client/connect-pq.ts';
import type { PqConnection } from '../client/pq-connection.ts';
import { parseLsnText } from '../lsn-text.ts';
import { type Cluster, makeCluster } from '../testing/cluster.ts';
import type { WalMessage } from './wal-stream.ts';

const SEGMENT = 16 * 1024 * 1024;

function connectTo(server: PostgresServer): Promise<PqConnection> {
  return connectPq({
    host: server.socketDirectory,
    port: server.port,
    user: 'postgres',
    replication: 'physical',
  });
}

async function currentLsn(server: PostgresServer): Promise<bigint> {
  const [row] = await server.query('SELECT pg_current_wal_flush_lsn() AS lsn');
  return parseLsnText(row?.lsn ?? '');
}

function segmentName(timeLineId: number, lsn: bigint): string {
  const hex = (value: bigint | number) => value.toString(16).toUpperCase().padStart(8, '0');
  const number = lsn / BigInt(SEGMENT);
  return `${hex(timeLineId)}${hex(number / 256n)}${hex(number % 256n)}`;
}

/** Bytes of `pg_wal` in the range. */
async function readWalFiles(
  cluster: Cluster,
  range: { timeLineId: number; start: bigint; end: bigint },
): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let lsn = range.start; lsn < range.end; ) {
    const file = await readFile(join(cluster.dataDirectory, 'pg_wal', segmentName(range.timeLineId, lsn)));
    const offset = Number(lsn % BigInt(SEGMENT));
    const count = Math.min(SEGMENT - offset, Number(range.end - lsn));
    parts.push(file.subarray(offset, offset + count));
    lsn += BigInt(count);
  }
  return Buffer.concat(parts);
}

async function collect(
  stream: AsyncIterable<WalMessage>,
  range: { start: bigint; end: bigint },
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let position = range.start;
  for await (const message of stream) {
    if (message.kind !== 'data') continue;
    expect(message.startLsn).toBe(position);
    expect(Math.abs(message.sendTime.getTime() - Date.now())).toBeLessThan(60_000);
    parts.push(message.data);
    position += BigInt(message.data.length);
    expect(message.serverEndLsn).toBeGreaterThanOrEqual(position);
    if (position >= range.end) break;
  }
  return Buffer.concat(parts).subarray(0, Number(range.end - range.start));
}

describe.each([14, 15, 16, 17, 18] as const)('Postgres %i', (major) => {
  let cluster: Cluster;
  let server: PostgresServer;

  beforeAll(async () => {
    cluster = await makeCluster(major);
    server = await startPostgres({ ...cluster, settings: { max_wal_size: '1GB' } });
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test('live WAL arrives byte for byte as it lies in pg_wal, and the connection goes on afterwards', async () => {
    await using connection = await connectTo(server);
    const identity = await connection.identifySystem();
    expect(await connection.show('wal_segment_size')).toBe('16MB');
    const start = (identity.lsn / BigInt(SEGMENT)) * BigInt(SEGMENT);
    const stream = await connection.startPhysicalReplication({
      startLsn: start,
      timeLineId: identity.timeLineId,
    });
    const written = server.query(
      `CREATE TABLE t AS SELECT i, repeat(md5(i::text), 5) FROM generate_series(1, 100000) i`,
    );
    await written;
    const end = await currentLsn(server);
    expect(end - start).toBeGreaterThan(BigInt(SEGMENT));
    const received = await collect(stream, { start, end });
    await expect(connection.show('wal_level')).rejects.toMatchObject({ code: 'PQ_BUSY' });
    await stream.stop();
    expect(stream.sendStandbyStatus({ written: end, flushed: end })).toBe(false);
    expect(received.equals(await readWalFiles(cluster, { timeLineId: 1, start, end }))).toBe(true);
    expect(await connection.show('wal_level')).toBe('replica');
  });

  test('a slot follows what is reported as flushed', async () => {
    await using connection = await connectTo(server);
    await connection.createPhysicalSlot({ name: 'select_1' });
    const slot = async () => {
      const [row] = await server.query(
        `SELECT restart_lsn, active FROM pg_replication_slots WHERE slot_name = 'select_1'`,
      );
      return { restartLsn: parseLsnText(row?.restart_lsn ?? ''), active: row?.active };
    };
    const before = await slot();
    if (major >= 15) {
      expect(await connection.readSlot('select_1')).toEqual({
        restartLsn: before.restartLsn,
        restartTimeLineId: 1,
      });
      expect(await connection.readSlot('nobody')).toBeUndefined();
    } else await expect(connection.readSlot('select_1')).rejects.toMatchObject({ code: 'PQ_UNSUPPORTED' });
    {
      await using stream = await connection.startPhysicalReplication({
        startLsn: before.restartLsn,
        slot: 'select_1',
      });
      const end = await currentLsn(server);
      await collect(stream, { start: before.restartLsn, end });
      expect((await slot()).active).toBe('t');
      expect(stream.sendStandbyStatus({ written: end, flushed: end, replyRequested: true })).toBe(true);
      for await (const message of stream) if (message.kind === 'keepalive') break;
      expect((await slot()).restartLsn).toBe(end);
    }
    await connection.dropSlot('select_1', { wait: true });
    await expect(connection.dropSlot('select_1')).rejects.toMatchObject({
      code: 'PQ_SERVER',
      sqlState: '42704',
    });
    await expect(connection.createPhysicalSlot({ name: 'Bad' })).rejects.toMatchObject({
      code: 'PQ_INVALID_ARGUMENT',
    });
  });

  test('WAL that is gone is its own error and leaves the connection usable', async () => {
    await using connection = await connectTo(server);
    await server.query('CHECKPOINT');
    await expect(
      (async () => {
        await using stream = await connection.startPhysicalReplication({ startLsn: 0n });
        await stream.read();
      })(),
    ).rejects.toMatchObject({ code: 'PQ_WAL_REMOVED', sqlState: '58P01' });
  });
});

test('not reading makes the server wait and not us hold everything, while the status goes on', async () => {
  await using cluster = await makeCluster(17);
  await using server = await startPostgres({
    ...cluster,
    settings: { wal_sender_timeout: '1s', max_wal_size: '2GB' },
  });
  await using connection = await connectTo(server);
  const { lsn } = await connection.identifySystem();
  await using stream = await connection.startPhysicalReplication({ startLsn: lsn, statusIntervalMs: 200 });
  await server.query(
    'CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 100000) i',
  );
  await delay(2500);
  const [row] = await server.query(
    `SELECT count(*) AS n, max(pg_current_wal_lsn() - sent_lsn) AS unsent FROM pg_stat_replication`,
  );
  expect(row?.n).toBe('1');
  expect(Number(row?.unsent)).toBeGreaterThan(30_000_000);
  const end = await currentLsn(server);
  expect((await collect(stream, { start: lsn, end })).length).toBe(Number(end - lsn));
});

test('a server that goes away in the middle is an error, orderly shutdown an end', async () => {
  await using cluster = await makeCluster(17);
  for (const mode of ['kill', 'fast'] as const) {
    await using server = await startPostgres(cluster);
    await using connection = await connectTo(server);
    const { lsn } = await connection.identifySystem();
    const stream = await connection.startPhysicalReplication({ startLsn: lsn });
    const messages: WalMessage[] = [];
    const all = (async () => {
      for await (const message of stream) {
        messages.push(message);
        if (message.kind === 'data') {
          const end = message.startLsn + BigInt(message.data.length);
          stream.sendStandbyStatus({ written: end, flushed: end });
        }
      }
    })();
    const outcome = all.catch((error: unknown) => error);
    await server.stop(mode);
    if (mode === 'kill') expect(await outcome).toMatchObject({ code: 'PQ_CLOSED' });
    // The walsender sends the shutdown checkpoint too before it lets the server end.
    else {
      expect(await outcome).toBeUndefined();
      expect(messages.some(({ kind }) => kind === 'data')).toBe(true);
    }
  }
});

test('a silent server is asked, and given up after the time allowed', async () => {
  await using cluster = await makeCluster(17);
  await using server = await startPostgres({ ...cluster, settings: { wal_sender_timeout: 0 } });
  await using connection = await connectTo(server);
  const { lsn } = await connection.identifySystem();
  const stream = await connection.startPhysicalReplication({ startLsn: lsn, idleTimeoutMs: 400 });
  // It answers what it is asked, so that the time is not over.
  let keepalives = 0;
  while (keepalives < 3) if ((await stream.read())?.kind === 'keepalive') keepalives += 1;
  const [row] = await server.query('SELECT pid FROM pg_stat_replication');
  process.kill(Number(row?.pid), 'SIGSTOP');
  try {
    const drained = (async () => {
      while (await stream.read());
    })();
    await expect(drained).rejects.toMatchObject({ code: 'PQ_TIMEOUT' });
  } finally {
    process.kill(Number(row?.pid), 'SIGCONT');
  }
});

describe.each([14, 17] as const)('a promoted server of %i', (major) => {
  test('ends the old timeline with the next one and its start, and gives the history', async () => {
    await using cluster = await makeCluster(major);
    {
      await using server = await startPostgres(cluster);
      await server.query('CREATE TABLE t AS SELECT generate_series(1, 1000) i');
    }
    const { uid, gid } = await stat(cluster.dataDirectory);
    const signal = join(cluster.dataDirectory, 'standby.signal');
    await writeFile(signal, '');
    await chown(signal, uid, gid);
    await using server = await startPostgres(cluster);
    await server.query('SELECT pg_promote()');
    await server.query('INSERT INTO t VALUES (1)');
    await using connection = await connectTo(server);
    expect((await connection.identifySystem()).timeLineId).toBe(2);
    const history = await connection.timelineHistory(2);
    expect(history.name).toBe('00000002.history');
    const text = Buffer.from(history.content).toString('utf8');
    const switchLsn = parseLsnText(/^1\t(\S+)\t/m.exec(text)?.[1] ?? '');
    const startLsn = (switchLsn / BigInt(SEGMENT)) * BigInt(SEGMENT);
    const stream = await connection.startPhysicalReplication({ startLsn, timeLineId: 1 });
    const messages: WalMessage[] = [];
    for await (const message of stream) messages.push(message);
    expect(messages.at(-1)).toEqual({ kind: 'timeline-end', nextTimeLineId: 2, switchLsn });
    const received = Buffer.concat(
      messages.flatMap((message) => (message.kind === 'data' ? [message.data] : [])),
    );
    expect(received.length).toBe(Number(switchLsn - startLsn));
    // From the very end there is nothing to stream: the answer comes at once.
    const empty = await connection.startPhysicalReplication({ startLsn: switchLsn, timeLineId: 1 });
    expect(await empty.read()).toEqual({ kind: 'timeline-end', nextTimeLineId: 2, switchLsn });
    expect(await empty.read()).toBeUndefined();
    expect(await readdir(join(cluster.dataDirectory, 'pg_wal'))).toContain('00000002.history');
    await expect(connection.timelineHistory(9)).rejects.toMatchObject({ code: 'PQ_SERVER' });
  });
});
