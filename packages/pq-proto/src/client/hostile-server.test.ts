import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { BodyWriter } from '../body-writer.ts';
import { BACKEND, COPY } from '../message-types.ts';
import { isPqError } from '../pq-error.ts';
import { encodeWalData, encodeWalKeepalive } from '../replication/wal-messages.ts';
import { encodeDataRow, encodeRowDescription, textColumn } from '../row-codec.ts';
import { encodeServerFields } from '../server-fields.ts';
import { connectPq } from './connect-pq.ts';

function message(type: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  return new BodyWriter()
    .uint8(type)
    .uint32(body.length + 4)
    .bytes(body)
    .finish();
}

const tag = (text: string) => message(BACKEND.CommandComplete, new BodyWriter().cstring(text).finish());
const READY = message(BACKEND.ReadyForQuery, Buffer.from('I'));
const COPY_BOTH = message(BACKEND.CopyBothResponse, Buffer.from([0, 0, 0]));

const row = (names: readonly string[], values: readonly (string | null)[]) => [
  message(BACKEND.RowDescription, encodeRowDescription(names.map(textColumn))),
  message(BACKEND.DataRow, encodeDataRow(values)),
];

const WELCOME = [
  message(BACKEND.AuthenticationRequest, new BodyWriter().uint32(0).finish()),
  message(BACKEND.ParameterStatus, new BodyWriter().cstring('server_version').cstring('17.1').finish()),
  message(BACKEND.BackendKeyData, new BodyWriter().uint32(1).uint32(2).finish()),
  READY,
];

/** Everything that the client below asks for, answered in order. */
const CONVERSATION = Buffer.concat([
  ...WELCOME,
  ...row(['systemid', 'timeline', 'xlogpos', 'dbname'], ['7', '1', '0/1000028', null]),
  tag('IDENTIFY_SYSTEM'),
  READY,
  COPY_BOTH,
  message(
    BACKEND.NoticeResponse,
    encodeServerFields({ severity: 'NOTICE', code: '00000', message: 'something to know' }),
  ),
  message(
    COPY.Data,
    encodeWalData({
      kind: 'data',
      startLsn: 0x1000000n,
      serverEndLsn: 0x1000020n,
      sendTime: new Date(0),
      data: Buffer.alloc(32, 7),
    }),
  ),
  message(
    COPY.Data,
    encodeWalKeepalive({
      kind: 'keepalive',
      serverEndLsn: 0x1000020n,
      sendTime: new Date(0),
      replyRequested: true,
    }),
  ),
  message(COPY.Done),
  ...row(['next_tli', 'next_tli_startpos'], ['2', '0/1000020']),
  tag('START_STREAMING'),
  tag('START_REPLICATION'),
  READY,
  ...row(['recptr', 'tli'], ['0/2000028', '1']),
  tag('SELECT'),
  ...row(['spcoid', 'spclocation', 'size'], [null, null, null]),
  tag('SELECT'),
  message(BACKEND.CopyOutResponse, Buffer.from([0, 0, 0])),
  message(COPY.Data, new BodyWriter().uint8(0x6e).cstring('base.tar').cstring('').finish()),
  message(COPY.Data, Buffer.from('dtar bytes')),
  message(COPY.Data, Buffer.from('m')),
  message(COPY.Data, Buffer.from('d{}')),
  message(COPY.Done),
  ...row(['recptr', 'tli'], ['0/2000100', '1']),
  tag('SELECT'),
  tag('BASE_BACKUP'),
  READY,
]);

/** A server that says what it has to say to whoever comes, and leaves. */
async function playTo<T>(bytes: Buffer, use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    socket.end(bytes);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  try {
    return await use(typeof address === 'object' && address !== null ? address.port : 0);
  } finally {
    server.close();
  }
}

async function talk(port: number): Promise<string> {
  await using connection = await connectPq({
    host: '127.0.0.1',
    port,
    user: 'me',
    tls: 'disable',
    replication: 'physical',
    env: {},
    connectTimeoutMs: 5_000,
  });
  const heard: string[] = [String((await connection.identifySystem()).systemIdentifier)];
  const stream = await connection.startPhysicalReplication({ startLsn: 0x1000000n });
  for await (const part of stream) heard.push(part.kind);
  const backup = await connection.baseBackup();
  for await (const part of backup.parts()) {
    for await (const chunk of part.data) heard.push(Buffer.from(chunk).toString('latin1'));
  }
  heard.push(String((await backup.finish()).lsn));
  return heard.join(' ');
}

const whole = '7 data keepalive timeline-end tar bytes {} 33554688';

test('the conversation is understood', async () => {
  expect(await playTo(CONVERSATION, talk)).toBe(whole);
});

test('a server that leaves at any byte is a typed error, never a result', async () => {
  for (let length = 0; length < CONVERSATION.length; length++) {
    const outcome = await playTo(CONVERSATION.subarray(0, length), talk).catch((error: unknown) => error);
    expect([length, isPqError(outcome, 'PQ_CLOSED')]).toEqual([length, true]);
  }
});

test('any flipped bit is a typed error or another answer, and never hangs', async () => {
  let errors = 0;
  for (let bit = 0; bit < CONVERSATION.length * 8; bit += 7) {
    const flipped = Buffer.from(CONVERSATION);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const outcome = await playTo(flipped, talk).catch((error: unknown) => error);
    if (typeof outcome === 'string') continue;
    errors += 1;
    if (!isPqError(outcome)) throw outcome;
  }
  expect(errors).toBeGreaterThan(100);
});
