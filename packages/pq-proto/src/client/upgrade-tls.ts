import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { abortedError, PqError } from '../pq-error.ts';
import { encodeStartupMessage } from '../startup-message.ts';
import type { PqAddress } from './open-socket.ts';
import type { PqConfig } from './pq-config.ts';

const ACCEPTED = 0x53;
const REFUSED = 0x4e;
const ERROR_RESPONSE = 0x45;

/** Asks for TLS and starts it; gives the socket back as it was where the server has none and `prefer` is set. */
export async function upgradeTls(
  socket: Socket,
  options: { readonly config: PqConfig; readonly address: PqAddress; readonly signal: AbortSignal },
): Promise<Socket | TLSSocket> {
  const { config, address, signal } = options;
  if (config.tls === 'disable' || address.unixSocket !== undefined) return socket;
  const answer = await askForTls(socket, { address, signal });
  if (answer === ACCEPTED) {
    const tls = await tlsOptions(config, address);
    return await handshake(connectTls({ ...tls, socket }), { address, signal });
  }
  // An old server answers what it does not know with an error message; what it says does not matter.
  if (answer !== REFUSED && answer !== ERROR_RESPONSE)
    throw tlsError(address, `answers the request for TLS with byte ${answer}; it is no Postgres server`);
  if (config.tls === 'prefer' && answer === REFUSED) return socket;
  throw tlsError(
    address,
    'has no TLS, which sslmode asks for; turn it on there (ssl = on) or choose another sslmode',
  );
}

async function askForTls(
  socket: Socket,
  options: { readonly address: PqAddress; readonly signal: AbortSignal },
): Promise<number> {
  const { address } = options;
  socket.write(encodeStartupMessage({ kind: 'ssl-request' }));
  const chunk = await untilEvent<Buffer>(socket, { ...options, event: 'data' });
  socket.pause();
  // More than the one byte before the handshake would be taken for encrypted later (CVE-2021-23222).
  if (chunk.length !== 1 && chunk[0] === ACCEPTED)
    throw tlsError(address, 'sends unencrypted data after agreeing to TLS; somebody may be in between');
  return chunk[0] ?? 0;
}

async function handshake(
  socket: TLSSocket,
  options: { readonly address: PqAddress; readonly signal: AbortSignal },
): Promise<TLSSocket> {
  await untilEvent(socket, { ...options, event: 'secureConnect' });
  return socket;
}

interface UntilEventOptions {
  readonly event: 'data' | 'secureConnect';
  readonly address: PqAddress;
  readonly signal: AbortSignal;
}

function untilEvent<T>(socket: Socket, options: UntilEventOptions): Promise<T> {
  const { event, address, signal } = options;
  return new Promise<T>((resolve, reject) => {
    const settle = (outcome: () => void) => {
      socket.off(event, succeed);
      socket.off('error', fail);
      socket.off('close', close);
      signal.removeEventListener('abort', abort);
      outcome();
    };
    const giveUp = (error: PqError) =>
      settle(() => {
        socket.on('error', () => undefined);
        socket.destroy();
        reject(error);
      });
    const succeed = (value: T) => settle(() => resolve(value));
    const fail = (error: Error) => giveUp(tlsError(address, `TLS failed: ${error.message}`, error));
    const close = () => giveUp(tlsError(address, 'closed the connection during the TLS handshake'));
    const abort = () => giveUp(abortedError(signal, 'connect'));
    socket.on(event, succeed);
    socket.on('error', fail);
    socket.on('close', close);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
}

async function tlsOptions(config: PqConfig, address: PqAddress): Promise<ConnectionOptions> {
  const verify = config.tls === 'verify-ca' || config.tls === 'verify-full';
  const name = config.host ?? address.host;
  const certificate = config.tlsCertificate;
  return {
    rejectUnauthorized: verify,
    minVersion: 'TLSv1.2',
    // Offered since Postgres 17, and harmless to older ones.
    ALPNProtocols: ['postgresql'],
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(verify ? await trustedRoots(config) : {}),
    ...(config.tls === 'verify-full' ? { host: name } : { checkServerIdentity: () => undefined }),
    ...(certificate === undefined
      ? {}
      : { cert: await readPem(certificate, 'sslcert'), key: await readPem(config.tlsKey ?? '', 'sslkey') }),
  };
}

async function trustedRoots(config: PqConfig): Promise<{ readonly ca?: Buffer }> {
  if (config.tlsRootCertificate === 'system') return {};
  const file = config.tlsRootCertificate ?? join(homedir(), '.postgresql', 'root.crt');
  return { ca: await readPem(file, 'sslrootcert') };
}

async function readPem(file: string, setting: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new PqError({
      code: 'PQ_TLS',
      operation: 'connect',
      message: `${setting} ${file || '(not given)'} could not be read; name a PEM file${setting === 'sslrootcert' ? ', or "system" for the roots of this machine' : ''}`,
      context: { setting, file },
      cause,
    });
  }
}

function tlsError(address: PqAddress, what: string, cause?: Error): PqError {
  return new PqError({
    code: 'PQ_TLS',
    operation: 'connect',
    message: `${address.peer} ${what}`,
    context: { peer: address.peer },
    cause,
  });
}
