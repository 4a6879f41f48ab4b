import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import type { PostgresServer } from '@neon-snapshot/postgres-process';

const PROTOCOL_VERSION = 196608;
/** CopyData payloads of BASE_BACKUP on 15 and newer start with one of these. */
const COPY = { data: 'd', archive: 'n', manifest: 'm' } as const;

/** The `backup_manifest` that a running server (15 and newer) makes of itself, by BASE_BACKUP over its unix socket. */
export async function manifestOfServer(server: PostgresServer): Promise<Uint8Array> {
  const socket = connect(path.join(server.socketDirectory, `.s.PGSQL.${server.port}`));
  try {
    await once(socket, 'connect');
    socket.write(startupMessage({ user: server.superuser, replication: 'true' }));
    const messages = readMessages(socket);
    await untilReady(messages);
    socket.write(queryMessage("BASE_BACKUP (CHECKPOINT 'fast', MANIFEST 'yes', WAIT false)"));
    return await collectManifest(messages);
  } finally {
    socket.destroy();
  }
}

interface Message {
  readonly type: string;
  readonly body: Buffer;
}

async function* readMessages(socket: Socket): AsyncGenerator<Message> {
  let pending = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, chunk]);
    let offset = 0;
    while (pending.length - offset >= 5) {
      const end = offset + 1 + pending.readUInt32BE(offset + 1);
      if (end > pending.length) break;
      yield { type: String.fromCharCode(pending.readUInt8(offset)), body: pending.subarray(offset + 5, end) };
      offset = end;
    }
    pending = Buffer.from(pending.subarray(offset));
  }
  throw new Error('the server closed the replication connection');
}

async function untilReady(messages: AsyncGenerator<Message>): Promise<void> {
  for (;;) {
    const { value } = await messages.next();
    if (value?.type === 'E') throw new Error(value.body.toString('latin1'));
    if (value?.type === 'Z') return;
  }
}

async function collectManifest(messages: AsyncGenerator<Message>): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let inManifest = false;
  for (;;) {
    const { value } = await messages.next();
    if (value?.type === 'E') throw new Error(value.body.toString('latin1'));
    if (value?.type === 'Z') return Buffer.concat(parts);
    if (value?.type !== 'd') continue;
    const kind = String.fromCharCode(value.body.readUInt8(0));
    if (kind === COPY.manifest) inManifest = true;
    else if (kind === COPY.archive) inManifest = false;
    else if (kind === COPY.data && inManifest) parts.push(Buffer.from(value.body.subarray(1)));
  }
}

function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(parameters)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join('');
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(PROTOCOL_VERSION, 4);
  return Buffer.concat([head, body]);
}

function queryMessage(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5);
  head.write('Q', 0, 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}
