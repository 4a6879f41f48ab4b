import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FrameParser } from '../frame-parser.ts';
import { isPqError } from '../pq-error.ts';
import { decodeServerFields } from '../server-fields.ts';
import { encodeStartupMessage } from '../startup-message.ts';
import {
  connectTo,
  listenWithAnswers,
  nothingObserved,
  type Observed,
  UNKNOWN_COMMAND,
  WRONG_TOKEN,
} from '../testing/answering-server.ts';
import type { PqListener } from './listen-pq.ts';

let observed: Observed;
let server: PqListener;

beforeEach(async () => {
  observed = nothingObserved();
  server = await listenWithAnswers(observed);
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

/** An error of the protocol, or one of the handler itself: never an accident of the parser. */
function isExpected(failure: unknown): boolean {
  if (isPqError(failure)) return true;
  return (
    failure instanceof Error &&
    [WRONG_TOKEN, UNKNOWN_COMMAND].some((text) => failure.message.startsWith(text))
  );
}

describe('hostile clients', () => {
  const message = (type: string, body: string | Buffer) => {
    const bytes = Buffer.from(body);
    const header = Buffer.alloc(5);
    header.write(type, 'latin1');
    header.writeUInt32BE(bytes.length + 4, 1);
    return Buffer.concat([header, bytes]);
  };
  const startup = encodeStartupMessage({
    kind: 'startup',
    minorVersion: 0,
    parameters: new Map([['user', 'me']]),
  });
  const conversation = Buffer.concat([
    encodeStartupMessage({ kind: 'ssl-request' }),
    startup,
    message('p', 'token of me\0'),
    message('Q', 'who\0'),
    message('Q', 'echo\0'),
    message('d', 'data'),
    message('c', ''),
    message('X', ''),
  ]);

  /** Sends bytes, ends our side, and gives what came back. */
  const converse = (bytes: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: server.port, allowHalfOpen: true });
      const received: Buffer[] = [];
      socket.on('data', (chunk) => received.push(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(Buffer.concat(received)));
      socket.end(bytes);
    });

  const errorsIn = (bytes: Buffer) => {
    const parser = new FrameParser({ messageBytesMax: 1e6, typed: true });
    parser.push(bytes[0] === 0x4e ? bytes.subarray(1) : bytes);
    const codes: string[] = [];
    for (let frame = parser.next(); frame; frame = parser.next())
      if (frame.type === 0x45) codes.push(decodeServerFields(frame.body).code);
    return codes;
  };

  test('a conversation cut at any byte ends quietly', async () => {
    for (let length = 0; length <= conversation.length; length += 1)
      expect(errorsIn(await converse(conversation.subarray(0, length)))).toEqual([]);
    await vi.waitUntil(() => server.connectionCount === 0);
    expect(observed.failures).toEqual([]);
  });

  test('any flipped bit ends in an error message or a closed connection, and the server goes on', async () => {
    for (let bit = 0; bit < conversation.length * 8; bit += 5) {
      const flipped = Buffer.from(conversation);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await converse(flipped);
    }
    expect(observed.failures.filter((failure) => !isExpected(failure))).toEqual([]);
    await vi.waitUntil(() => server.connectionCount === 0);
    await using connection = await connectTo(server);
    expect(await connection.query('set x')).toHaveLength(1);
  });

  test.each([
    ['a startup message too long', Buffer.from([0, 1, 0, 0, 0, 3, 0, 0]), '08P01'],
    ['protocol 2', Buffer.from([0, 0, 0, 8, 0, 2, 0, 0]), '08P01'],
    ['no user', encodeStartupMessage({ kind: 'startup', minorVersion: 0, parameters: new Map() }), '28000'],
    ['a query in place of the password', Buffer.concat([startup, message('Q', 'who\0')]), '08P01'],
    ['a password too long', Buffer.concat([startup, message('p', Buffer.alloc(70_000))]), '08P01'],
    [
      'a query too long',
      Buffer.concat([startup, message('p', 'token of me\0'), Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff])]),
      '08P01',
    ],
    [
      'a query without its end',
      Buffer.concat([startup, message('p', 'token of me\0'), message('Q', 'who')]),
      '08P01',
    ],
    [
      'an unknown message',
      Buffer.concat([startup, message('p', 'token of me\0'), message('~', '')]),
      '08P01',
    ],
  ])('%s is answered with FATAL', async (_name, bytes, code) => {
    expect(errorsIn(await converse(bytes))).toEqual([code]);
  });

  test('a newer protocol is told what we speak', async () => {
    const newer = encodeStartupMessage({
      kind: 'startup',
      minorVersion: 2,
      parameters: new Map([
        ['user', 'me'],
        ['_pq_.x', '1'],
      ]),
    });
    const answer = await converse(Buffer.concat([newer, message('p', 'token of me\0'), message('X', '')]));
    expect(answer.toString('latin1', 0, 20)).toBe('v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0');
    expect(errorsIn(answer)).toEqual([]);
  });

  test('a copy that fails on either side leaves the session in order', async () => {
    const head = Buffer.concat([startup, message('p', 'token of me\0'), message('Q', 'echo\0')]);
    const failed = Buffer.concat([
      head,
      message('f', 'why not\0'),
      message('Q', 'set x\0'),
      message('X', ''),
    ]);
    const answer = await converse(failed);
    expect(errorsIn(answer)).toEqual(['57014']);
    expect(answer.includes('SET')).toBe(true);
  });
});
