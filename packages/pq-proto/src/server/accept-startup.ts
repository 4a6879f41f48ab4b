import { BodyReader } from '../body-reader.ts';
import { BodyWriter } from '../body-writer.ts';
import type { FrameChannel } from '../frame-channel.ts';
import { AUTH_REQUEST, BACKEND, FRONTEND, STARTUP_CODE } from '../message-types.ts';
import { isPqError, PqError } from '../pq-error.ts';
import { decodeStartupMessage } from '../startup-message.ts';
import type { PqServerAuthentication, PqStartup } from './pq-reply.ts';

/** `PG_MAX_AUTH_TOKEN_LENGTH` of libpq-be.h. */
const PASSWORD_BYTES_MAX = 65_535;
/** One SSLRequest and one GSSENCRequest at most, as a client that falls back sends. */
const REQUESTS_MAX = 2;
const OPERATION = 'start session';

export interface CancelKey {
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

/** The startup message, or the cancel request that the connection was made for. Encryption is declined. */
export async function acceptStartup(
  channel: FrameChannel,
): Promise<{ readonly startup: PqStartup } | { readonly cancel: CancelKey }> {
  for (let requests = 0; ; requests++) {
    const message = decodeStartupMessage((await channel.read()).body);
    switch (message.kind) {
      case 'ssl-request':
      case 'gssenc-request':
        if (requests >= REQUESTS_MAX) throw refused('08P01', 'encryption was declined already');
        channel.writeRaw(Buffer.from('N'));
        channel.flush();
        break;
      case 'cancel-request':
        return { cancel: message };
      case 'startup':
        channel.parser.typed = true;
        channel.parser.messageBytesMax = PASSWORD_BYTES_MAX;
        negotiate(channel, message);
        return { startup: startupOf(channel, message.parameters) };
    }
  }
}

/** A newer minor version, or protocol options that we do not know: says what we have, and the client goes on with it. */
function negotiate(
  channel: FrameChannel,
  message: { readonly minorVersion: number; readonly parameters: ReadonlyMap<string, string> },
): void {
  const unknown = [...message.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  if (message.minorVersion === 0 && unknown.length === 0) return;
  const body = new BodyWriter().uint32(STARTUP_CODE.Protocol3).uint32(unknown.length);
  for (const name of unknown) body.cstring(name);
  channel.write(BACKEND.NegotiateProtocolVersion, body.finish());
}

function startupOf(channel: FrameChannel, parameters: ReadonlyMap<string, string>): PqStartup {
  const user = parameters.get('user');
  if (!user) throw refused('28000', 'the startup message names no user');
  return {
    user,
    database: parameters.get('database') || user,
    applicationName: parameters.get('application_name') ?? '',
    parameters,
    peer: channel.peer,
  };
}

/** Identity of the client. Throws with `server` fields where it is refused. */
export async function authenticateClient<Identity>(
  channel: FrameChannel,
  authentication: PqServerAuthentication<Identity>,
  startup: PqStartup,
): Promise<Identity> {
  if (authentication.method === 'trust') return authentication.identify(startup);
  channel.write(
    BACKEND.AuthenticationRequest,
    new BodyWriter().uint32(AUTH_REQUEST.CleartextPassword).finish(),
  );
  channel.flush();
  const frame = await channel.read();
  if (frame.type !== FRONTEND.PasswordMessage)
    throw refused('08P01', `a password is due, and a message of type 0x${frame.type.toString(16)} came`);
  const password = new BodyReader(frame.body, 'PasswordMessage').cstring();
  try {
    return await authentication.check(startup, password);
  } catch (error) {
    if (isPqError(error) && error.server) throw error;
    throw refused('28P01', `authentication of ${startup.user} failed`, error);
  }
}

function refused(sqlState: string, message: string, cause?: unknown): PqError {
  return new PqError({
    code: sqlState === '08P01' ? 'PQ_PROTOCOL' : 'PQ_AUTHENTICATION',
    operation: OPERATION,
    message,
    server: { severity: 'FATAL', code: sqlState, message },
    cause,
  });
}
