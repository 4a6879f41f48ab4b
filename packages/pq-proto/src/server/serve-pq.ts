import type { Socket } from 'node:net';
import { FrameChannel } from '../frame-channel.ts';
import { PqError } from '../pq-error.ts';
import { STARTUP_BYTES_MAX } from '../startup-message.ts';
import type { CancelKey } from './accept-startup.ts';
import type { PqReply, PqRequest, PqServerAuthentication, PqStartup } from './pq-reply.ts';
import { ServerSession } from './server-session.ts';

export interface ServePqOptions<Identity> {
  readonly authentication: PqServerAuthentication<Identity>;
  /** Answers a query. What it throws becomes an ErrorResponse, with the `server` fields of a `PqError`. */
  readonly handle: (request: PqRequest<Identity>) => PqReply | Promise<PqReply>;
  /** ParameterStatus messages; `client_encoding`, `integer_datetimes` and `server_version` go to every client. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Startup and authentication must be over by then. Default 60,000. */
  readonly authenticationTimeoutMs?: number;
  /** A client that waits longer between commands is sent away. Default 0: never. */
  readonly idleTimeoutMs?: number;
  /** Longest message of a client after authentication. Default 1 MiB. */
  readonly messageBytesMax?: number;
  /** Failures of sessions: what a handler threw, broken protocol, refused clients. Not a client that goes away. */
  readonly onError?: (error: unknown, startup: PqStartup | undefined) => void;
}

/** One client's connection. Disposal tells it that the server ends, aborts what runs, and waits for it. */
export interface PqServerConnection extends AsyncDisposable {
  /** Settled when the client is gone and no handler runs any more; never rejected. */
  readonly closed: Promise<void>;
  /** Aborts what runs for the client, as its own cancel request does. */
  cancel(): void;
}

export interface ServeSocketOptions<Identity> extends ServePqOptions<Identity> {
  /** Accepted and not yet read from. */
  readonly socket: Socket;
  /** Given to the client, for cancel requests. Default: none. */
  readonly cancelKey?: CancelKey;
  /** The connection was made to cancel what runs on another one. */
  readonly onCancel?: (key: CancelKey) => void;
}

const KEEP_ALIVE_DELAY_MS = 30_000;

/** Serves one client on an accepted socket until it goes away. */
export function servePq<Identity>(options: ServeSocketOptions<Identity>): PqServerConnection {
  const { socket } = options;
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  const channel = new FrameChannel({
    socket,
    messageBytesMax: STARTUP_BYTES_MAX,
    typed: false,
    peer: socket.remoteAddress === undefined ? 'socket' : `${socket.remoteAddress}:${socket.remotePort}`,
  });
  const session = new ServerSession({ channel, options });
  const closed = session.run();
  return {
    closed,
    cancel: () => session.cancel(),
    [Symbol.asyncDispose]: async () => {
      session.shutDown(
        new PqError({ code: 'PQ_ABORTED', operation: 'serve', message: 'the server is shutting down' }),
      );
      await closed;
    },
  };
}
