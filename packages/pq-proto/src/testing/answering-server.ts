import { connectPq } from '../client/connect-pq.ts';
import type { PqConnection } from '../client/pq-connection.ts';
import { PqError } from '../pq-error.ts';
import { int8Column, textColumn } from '../row-codec.ts';
import { type ListenPqOptions, listenPq, type PqListener } from '../server/listen-pq.ts';
import type { PqReply, PqRequest } from '../server/pq-reply.ts';

/** What the handler `bytes` sends, again and again. */
export const CHUNK: Uint8Array = new Uint8Array(64 * 1024).fill(0x78);
/** What the handler itself fails with, as any program's might. */
export const WRONG_TOKEN = 'wrong token';
export const UNKNOWN_COMMAND = 'there is no command';

/** What a listener's handler saw and did. */
export interface Observed {
  readonly handled: PqRequest<string>[];
  readonly failures: unknown[];
  aborts: number;
  chunksMade: number;
}

export function nothingObserved(): Observed {
  return { handled: [], failures: [], aborts: 0, chunksMade: 0 };
}

/** A listener whose handler answers a few words, with a token as the password. */
export async function listenWithAnswers(
  observed: Observed,
  options: Partial<ListenPqOptions<string>> = {},
): Promise<PqListener> {
  return await listenPq({
    listen: { host: '127.0.0.1', port: 0 },
    authentication: {
      method: 'password',
      check: async ({ user }, password) => {
        if (password !== `token of ${user}`) throw new Error(WRONG_TOKEN);
        return user;
      },
    },
    handle: (request) => answer(observed, request),
    onError: (error) => observed.failures.push(error),
    ...options,
  });
}

/** Our own client on it. */
export function connectTo({ port }: PqListener, password = 'token of me'): Promise<PqConnection> {
  return connectPq({
    host: '127.0.0.1',
    port,
    user: 'me',
    database: 'd',
    password,
    applicationName: 'tests',
    allowCleartextPassword: true,
    env: {},
  });
}

async function* chunks(observed: Observed, count: number): AsyncGenerator<Uint8Array, void, void> {
  for (let index = 0; index < count; index++) {
    observed.chunksMade += 1;
    yield CHUNK;
  }
}

async function answer(observed: Observed, request: PqRequest<string>): Promise<PqReply> {
  observed.handled.push(request);
  const [word = '', argument = ''] = request.sql.split(' ');
  switch (word) {
    case 'who':
      return {
        kind: 'rows',
        columns: [textColumn('name'), int8Column('n'), textColumn('nothing')],
        rows: [
          [request.identity, '7', null],
          [Buffer.from('é'), '8', ''],
        ],
      };
    case 'set':
      return { kind: 'command', tag: 'SET' };
    case 'bytes':
      return { kind: 'copy-out', data: chunks(observed, Number(argument)) };
    case 'echo':
      return {
        kind: 'copy-both',
        run: async (session) => {
          for (let batch = await session.readBatch(); batch.length > 0; batch = await session.readBatch()) {
            for (const message of batch) session.write(Buffer.from('>'), message);
            await session.flush();
          }
        },
      };
    case 'say':
      return {
        kind: 'copy-both',
        run: async (session) => {
          session.write(Buffer.from('one message and good-bye'));
        },
      };
    case 'wait':
      return await new Promise((_resolve, reject) => {
        request.signal.addEventListener('abort', () => {
          observed.aborts += 1;
          reject(request.signal.reason);
        });
      });
    case 'state':
      throw new PqError({
        code: 'PQ_SERVER',
        operation: 'state',
        message: 'x',
        server: { severity: 'ERROR', code: '22023', message: 'no such state', detail: 'd', hint: 'h' },
      });
    default:
      throw new Error(`${UNKNOWN_COMMAND} ${word}`);
  }
}
