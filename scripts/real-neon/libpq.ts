/**
 * The little of libpq's protocol 3.0 that a page server's full backup needs: start-up without a password,
 * one simple query, and the CopyData that answers it.
 *
 * A start-up packet is u32 length (itself included), u32 196608, then name\0value\0 pairs and a \0. Every other message
 * is u8 type, u32 length (itself included, the type not), body; all big-endian.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const PROTOCOL_VERSION = 196608;
const MESSAGE_BYTES_MAX = 16 << 20;

export type CopyOutOptions = { readonly port: number; readonly query: string };

/** Runs `query` and yields each CopyData body, valid until the next is asked for. Ends when the server says that it is done. */
export async function* copyOut({ port, query }: CopyOutOptions): AsyncIterable<Uint8Array> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(startup({ user: 'real-neon', database: 'postgres' }));
    let asked = false;
    for await (const { type, body } of readMessages(socket)) {
      switch (type) {
        case 'E':
          throw new Error(`page server: ${query}: ${errorText(body)}`);
        case 'd':
          yield body;
          break;
        case 'Z':
          if (asked) return;
          asked = true;
          socket.write(message('Q', Buffer.from(`${query}\0`)));
          break;
        default: // AuthenticationOk, ParameterStatus, CopyOutResponse, CopyDone, CommandComplete
      }
    }
    throw new Error(`page server: ${query}: the connection ended before the answer did`);
  } finally {
    socket.destroy();
  }
}

type Message = { readonly type: string; readonly body: Buffer };

async function* readMessages(socket: Socket): AsyncIterable<Message> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let offset = 0;
    while (held.length - offset >= 5) {
      const length = held.readUInt32BE(offset + 1);
      if (length < 4 || length > MESSAGE_BYTES_MAX)
        throw new Error(`a message of ${length} bytes from the page server`);
      const end = offset + 1 + length;
      if (held.length < end) break;
      yield { type: String.fromCharCode(held.readUInt8(offset)), body: held.subarray(offset + 5, end) };
      offset = end;
    }
    held = held.subarray(offset);
  }
}

function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
  const body = Buffer.from(`${pairs.join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(PROTOCOL_VERSION, 4);
  return Buffer.concat([head, body]);
}

function message(type: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** An ErrorResponse is fields of u8 code and a text ending in \0; `M` is the message, `C` the SQLSTATE. */
function errorText(body: Buffer): string {
  const fields = new Map(
    body
      .toString()
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  );
  return `${fields.get('M') ?? 'error without a message'} (${fields.get('C') ?? 'no code'})`;
}
