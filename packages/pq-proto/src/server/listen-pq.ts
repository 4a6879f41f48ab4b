import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { PqError } from '../pq-error.ts';
import type { CancelKey } from './accept-startup.ts';
import { type PqServerConnection, type ServePqOptions, servePq } from './serve-pq.ts';

const CONNECTIONS_MAX = 1_000;
const REFUSALS_MAX = 100;
const REFUSAL_TIMEOUT_MS = 1_000;

export interface ListenPqOptions<Identity> extends ServePqOptions<Identity> {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Further clients are refused with 53300. Default 1,000. */
  readonly connectionsMax?: number;
}

/** A listening server. Disposal stops listening, ends every connection and waits for their handlers. */
export interface PqListener extends AsyncDisposable {
  /** The port listened on; 0 for a Unix socket. */
  readonly port: number;
  readonly connectionCount: number;
}

interface Client {
  readonly connection: PqServerConnection;
  readonly key: CancelKey;
}

/** Listens and serves every client. `PQ_CONNECT` where the address is not to be had. */
export async function listenPq<Identity>(options: ListenPqOptions<Identity>): Promise<PqListener> {
  const clients = new Map<number, Client>();
  const refused = new Set<PqServerConnection>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    if (clients.size >= (options.connectionsMax ?? CONNECTIONS_MAX)) return refuse(options, socket, refused);
    const key = makeKey(clients);
    const connection = servePq({
      ...options,
      socket,
      cancelKey: key,
      onCancel: (wanted) => cancel(clients.get(wanted.processId), wanted),
    });
    clients.set(key.processId, { connection, key });
    void connection.closed.then(() => clients.delete(key.processId));
  });
  await listen(server, options.listen);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get connectionCount() {
      return clients.size;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      const connections = [...[...clients.values()].map(({ connection }) => connection), ...refused];
      await Promise.all(connections.map((connection) => connection[Symbol.asyncDispose]()));
      await closed;
    },
  };
}

async function listen(server: Server, where: ListenPqOptions<unknown>['listen']): Promise<void> {
  server.listen(where);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const shown = 'path' in where ? where.path : `${where.host}:${where.port}`;
    throw new PqError({
      code: 'PQ_CONNECT',
      operation: 'listen',
      message: `cannot listen on ${shown}: ${cause instanceof Error ? cause.message : cause}`,
      cause,
    });
  }
}

function makeKey(clients: ReadonlyMap<number, Client>): CancelKey {
  let processId = randomInt(1, 2 ** 31);
  while (clients.has(processId)) processId = randomInt(1, 2 ** 31);
  return { processId, secretKey: randomBytes(4) };
}

function cancel(client: Client | undefined, wanted: CancelKey): void {
  const known = client?.key.secretKey;
  if (!known || known.length !== wanted.secretKey.length) return;
  if (timingSafeEqual(known, wanted.secretKey)) client.connection.cancel();
}

/** Tells a client too many why, after its startup message, as Postgres does; a crowd of them not even that. */
function refuse<Identity>(
  options: ListenPqOptions<Identity>,
  socket: Socket,
  refused: Set<PqServerConnection>,
): void {
  if (refused.size >= REFUSALS_MAX) {
    socket.destroy();
    return;
  }
  const message = 'sorry, too many clients already';
  const connection = servePq({
    ...options,
    socket,
    authenticationTimeoutMs: REFUSAL_TIMEOUT_MS,
    authentication: {
      method: 'trust',
      identify: () => {
        throw new PqError({
          code: 'PQ_TOO_MANY_CONNECTIONS',
          operation: 'start session',
          message,
          server: { severity: 'FATAL', code: '53300', message },
        });
      },
    },
  });
  refused.add(connection);
  void connection.closed.then(() => refused.delete(connection));
}
