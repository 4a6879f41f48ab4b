import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { FrameChannel } from '../frame-channel.ts';
import { BACKEND } from '../message-types.ts';
import { isPqError, PqError, type PqServerFields, throwIfAborted } from '../pq-error.ts';
import { ReceiveBuffers } from '../receive-buffers.ts';
import { encodeStartupMessage } from '../startup-message.ts';
import { authenticate } from './authenticate.ts';
import { tlsServerEndPoint } from './channel-binding.ts';
import { ClientWire } from './client-wire.ts';
import { addressOf, openSocket, type PqAddress, SOCKET_DIRECTORIES } from './open-socket.ts';
import { lookUpPassfile } from './passfile.ts';
import { type PqConfig, type PqConfigOptions, resolvePqConfig } from './pq-config.ts';
import { PqConnection } from './pq-connection.ts';
import { upgradeTls } from './upgrade-tls.ts';

/** No server sends a longer message to a client that asks for none: a data row of 16 MiB. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

export interface ConnectPqOptions extends PqConfigOptions {
  /** Send a password in clear text without TLS, where the server asks for it. Default false; a Unix socket is safe. */
  readonly allowCleartextPassword?: boolean;
  /** Ends the attempt; not the connection. */
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: (notice: PqServerFields) => void;
}

/**
 * Connects and authenticates. Errors: `PQ_INVALID_ARGUMENT` and `PQ_UNSUPPORTED` before any I/O; `PQ_CONNECT`, `PQ_TLS`,
 * `PQ_PASSWORD_MISSING`, `PQ_AUTHENTICATION`, `PQ_NO_PRIVILEGE`, `PQ_TOO_MANY_CONNECTIONS`, `PQ_WAL_LEVEL`, `PQ_NOT_READY`,
 * `PQ_TIMEOUT`, `PQ_ABORTED`, `PQ_SERVER`.
 */
export async function connectPq(options: ConnectPqOptions = {}): Promise<PqConnection> {
  throwIfAborted(options.signal, 'connect');
  const config = resolvePqConfig(options);
  const address = addressOf(config);
  const timeout = new AbortController();
  const timer = startTimer(config, address, timeout);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout.signal]) : timeout.signal;
  try {
    return await establish({ config, address, signal, options });
  } catch (error) {
    if (!timeout.signal.aborted || !isPqError(error, 'PQ_ABORTED')) throw error;
    throw timeout.signal.reason;
  } finally {
    clearTimeout(timer);
  }
}

interface Attempt {
  readonly config: PqConfig;
  readonly address: PqAddress;
  readonly signal: AbortSignal;
  readonly options: ConnectPqOptions;
}

async function establish(attempt: Attempt): Promise<PqConnection> {
  const { config, address, signal, options } = attempt;
  const staysPlain = config.tls === 'disable' || address.unixSocket !== undefined;
  const buffers = staysPlain ? new ReceiveBuffers() : undefined;
  const plain = await openSocket(address, { signal, buffers });
  try {
    const socket = await upgradeTls(plain, attempt);
    const encrypted = socket instanceof TLSSocket;
    const channel = new FrameChannel({
      socket,
      messageBytesMax: MESSAGE_BYTES_MAX,
      typed: true,
      peer: address.peer,
      buffers,
    });
    const wire = new ClientWire({ channel, onNotice: options.onNotice });
    await wire.run({ operation: 'connect', signal }, () => startSession(wire, { ...attempt, socket }));
    return new PqConnection({ wire, encrypted });
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

async function startSession(wire: ClientWire, session: Attempt & { readonly socket: Socket }): Promise<void> {
  const { config, address, socket } = session;
  wire.channel.writeRaw(
    encodeStartupMessage({ kind: 'startup', minorVersion: 0, parameters: startupParameters(config) }),
  );
  const encrypted = socket instanceof TLSSocket;
  await authenticate({
    wire,
    user: config.user,
    password: () => findPassword(config, address),
    cleartextAllowed:
      encrypted || address.unixSocket !== undefined || session.options.allowCleartextPassword === true,
    channelBinding: config.channelBinding,
    bindingData: encrypted ? tlsServerEndPoint(socket.getPeerCertificate(true).raw) : undefined,
  });
  for (;;) {
    const frame = await wire.read('connect');
    if (frame.type === BACKEND.ReadyForQuery) return;
    // Cancelling is by ending the connection, so its key is of no use.
    if (frame.type !== BACKEND.BackendKeyData && frame.type !== BACKEND.NegotiateProtocolVersion)
      throw wire.unexpected(frame, 'connect');
  }
}

function startupParameters(config: PqConfig): Map<string, string> {
  const parameters = new Map([['user', config.user]]);
  if (config.replication !== 'physical') parameters.set('database', config.database);
  if (config.replication !== undefined)
    parameters.set('replication', config.replication === 'physical' ? 'true' : 'database');
  if (config.serverOptions !== undefined) parameters.set('options', config.serverOptions);
  parameters.set('application_name', config.applicationName);
  parameters.set('client_encoding', 'UTF8');
  return parameters;
}

async function findPassword(config: PqConfig, address: PqAddress): Promise<string> {
  if (config.password !== undefined) return config.password;
  const usualSocket = address.unixSocket !== undefined && SOCKET_DIRECTORIES.includes(address.host);
  const answer = await lookUpPassfile(config.passfile, {
    host: usualSocket ? 'localhost' : (config.host ?? address.host),
    port: config.port,
    database: config.replication === 'physical' ? 'replication' : config.database,
    user: config.user,
  });
  if (answer.password !== undefined) return answer.password;
  throw new PqError({
    code: 'PQ_PASSWORD_MISSING',
    operation: 'authenticate',
    message: `${address.peer} wants a password for ${config.user}; ${answer.ignored ?? `set PGPASSWORD or add a line to ${config.passfile}`}`,
    context: { peer: address.peer, user: config.user },
  });
}

function startTimer(
  config: PqConfig,
  address: PqAddress,
  timeout: AbortController,
): NodeJS.Timeout | undefined {
  const { connectTimeoutMs } = config;
  if (connectTimeoutMs === 0) return undefined;
  return setTimeout(() => {
    timeout.abort(
      new PqError({
        code: 'PQ_TIMEOUT',
        operation: 'connect',
        message: `${address.peer} did not let us in within ${connectTimeoutMs} ms`,
        context: { peer: address.peer, connectTimeoutMs },
      }),
    );
  }, connectTimeoutMs);
}
