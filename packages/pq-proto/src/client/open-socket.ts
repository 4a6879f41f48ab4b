import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { abortedError, PqError } from '../pq-error.ts';
import type { ReceiveBuffers } from '../receive-buffers.ts';
import type { PqConfig } from './pq-config.ts';

/** Directories where Postgres' builds put their socket: Debian's, and everyone else's. */
export const SOCKET_DIRECTORIES: readonly string[] = ['/var/run/postgresql', '/tmp'];
const KEEP_ALIVE_DELAY_MS = 30_000;

export interface PqAddress {
  /** For messages. */
  readonly peer: string;
  readonly unixSocket: string | undefined;
  readonly host: string;
  readonly port: number;
}

export function addressOf(config: PqConfig): PqAddress {
  const { port } = config;
  const socketName = (directory: string) => join(directory, `.s.PGSQL.${port}`);
  const host =
    config.host ??
    config.hostAddress ??
    SOCKET_DIRECTORIES.find((directory) => existsSync(socketName(directory))) ??
    'localhost';
  if (isAbsolute(host)) return { peer: socketName(host), unixSocket: socketName(host), host, port };
  const shown = host.includes(':') ? `[${host}]` : host;
  return { peer: `${shown}:${port}`, unixSocket: undefined, host: config.hostAddress ?? host, port };
}

export interface OpenSocketOptions {
  readonly signal: AbortSignal;
  /** Who takes what arrives; without it the socket emits it. */
  readonly buffers?: ReceiveBuffers | undefined;
}

/** A connected TCP or Unix socket. `PQ_CONNECT` where nothing answers; `signal` ends the attempt. */
export async function openSocket(
  address: PqAddress,
  { signal, buffers }: OpenSocketOptions,
): Promise<Socket> {
  const reading = buffers === undefined ? {} : { onread: buffers.onread };
  const socket = address.unixSocket
    ? connect({ path: address.unixSocket, ...reading })
    : connect({ host: address.host, port: address.port, noDelay: true, ...reading });
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error) => {
      socket.off('connect', settle);
      socket.off('error', settle);
      signal.removeEventListener('abort', abort);
      if (error) socket.destroy();
      if (error) reject(error instanceof PqError ? error : connectError(address, error));
      else resolve();
    };
    const abort = () => settle(abortedError(signal, 'connect'));
    socket.once('connect', () => settle());
    socket.once('error', settle);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  return socket;
}

function connectError(address: PqAddress, error: Error): PqError {
  // With several addresses of one name, Node's error has no message of its own.
  const reason = error instanceof AggregateError ? error.errors.map(String).join('; ') : error.message;
  return new PqError({
    code: 'PQ_CONNECT',
    operation: 'connect',
    message: `no connection to ${address.peer}: ${reason}; is a server running there?`,
    context: { peer: address.peer },
    cause: error,
  });
}
