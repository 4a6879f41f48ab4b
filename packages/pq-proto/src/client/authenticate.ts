import { createHash } from 'node:crypto';
import { BodyReader } from '../body-reader.ts';
import { BodyWriter } from '../body-writer.ts';
import { AUTH_REQUEST, BACKEND, FRONTEND } from '../message-types.ts';
import { PqError, protocolError } from '../pq-error.ts';
import type { ClientWire } from './client-wire.ts';
import { ScramExchange } from './scram.ts';

const OPERATION = 'authenticate';
const SCRAM = 'SCRAM-SHA-256';
const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';

export interface AuthenticateOptions {
  readonly wire: ClientWire;
  readonly user: string;
  /** Looks the password up; undefined where there is none. Asked only when the server wants one. */
  readonly password: () => Promise<string>;
  /** Whether nobody in between can read: TLS, a Unix socket, or the caller says that it may be sent. */
  readonly cleartextAllowed: boolean;
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  /** Channel binding data where the connection has TLS. */
  readonly bindingData: Buffer | undefined;
}

/** Answers the server's requests until it is content. */
export async function authenticate(options: AuthenticateOptions): Promise<void> {
  const { wire } = options;
  for (;;) {
    const frame = await wire.expect(BACKEND.AuthenticationRequest, OPERATION);
    const reader = new BodyReader(frame.body, 'AuthenticationRequest');
    const request = reader.uint32();
    if (options.channelBinding === 'require' && request !== AUTH_REQUEST.Sasl)
      throw authenticationError('channel binding is required and the server does not ask for SCRAM');
    switch (request) {
      case AUTH_REQUEST.Ok:
        return;
      case AUTH_REQUEST.CleartextPassword:
        await answerCleartext(options);
        break;
      case AUTH_REQUEST.Md5Password:
        sendPassword(wire, md5Password(await options.password(), options.user, reader.bytes(4)));
        break;
      case AUTH_REQUEST.Sasl:
        await answerSasl(options, reader);
        return;
      default:
        throw unsupported(
          `the server asks for authentication method ${request}; SCRAM-SHA-256, md5 and password are known`,
        );
    }
  }
}

async function answerCleartext(options: AuthenticateOptions): Promise<void> {
  if (!options.cleartextAllowed)
    throw unsupported(
      'the server asks for the password in clear text and the connection has no TLS; use TLS, or allow it explicitly',
    );
  sendPassword(options.wire, await options.password());
}

/** After SCRAM the server must say Ok: a server that skips the proof of its own is refused. */
async function answerSasl(options: AuthenticateOptions, reader: BodyReader): Promise<void> {
  const { wire } = options;
  const mechanisms = readMechanisms(reader);
  const bindingData = options.channelBinding === 'disable' ? undefined : options.bindingData;
  const bind = bindingData !== undefined && mechanisms.includes(SCRAM_PLUS);
  if (!bind && options.channelBinding === 'require')
    throw authenticationError(
      'channel binding is required and cannot be had: it needs TLS and SCRAM-SHA-256-PLUS',
    );
  if (!bind && !mechanisms.includes(SCRAM))
    throw unsupported(`the server offers ${mechanisms.join(', ') || 'no mechanism'}; SCRAM-SHA-256 is known`);
  const exchange = new ScramExchange({
    password: await options.password(),
    channelBinding: bind ? bindingData : undefined,
    couldBind: bindingData !== undefined,
  });
  const first = Buffer.from(exchange.clientFirst());
  const body = new BodyWriter()
    .cstring(bind ? SCRAM_PLUS : SCRAM)
    .int32(first.length)
    .bytes(first)
    .finish();
  wire.channel.write(FRONTEND.PasswordMessage, body);
  const challenge = await readAuth(wire, AUTH_REQUEST.SaslContinue);
  wire.channel.write(FRONTEND.PasswordMessage, Buffer.from(await exchange.clientFinal(challenge)));
  exchange.verifyServerFinal(await readAuth(wire, AUTH_REQUEST.SaslFinal));
  await readAuth(wire, AUTH_REQUEST.Ok);
}

async function readAuth(wire: ClientWire, expected: number): Promise<string> {
  const frame = await wire.expect(BACKEND.AuthenticationRequest, OPERATION);
  const reader = new BodyReader(frame.body, 'AuthenticationRequest');
  const request = reader.uint32();
  if (request !== expected)
    throw protocolError(
      OPERATION,
      `the server sends authentication request ${request} where ${expected} is due`,
    );
  return reader.rest().toString('utf8');
}

function readMechanisms(reader: BodyReader): string[] {
  const mechanisms: string[] = [];
  for (let name = reader.cstring(); name !== ''; name = reader.cstring()) mechanisms.push(name);
  return mechanisms;
}

function sendPassword(wire: ClientWire, password: string): void {
  wire.channel.write(FRONTEND.PasswordMessage, Buffer.from(`${password}\0`, 'utf8'));
}

function md5Password(password: string, user: string, salt: Buffer): string {
  const md5 = (data: string | Buffer) => createHash('md5').update(data).digest('hex');
  return `md5${md5(Buffer.concat([Buffer.from(md5(password + user)), salt]))}`;
}

function authenticationError(message: string): PqError {
  return new PqError({ code: 'PQ_AUTHENTICATION', operation: OPERATION, message });
}

function unsupported(message: string): PqError {
  return new PqError({ code: 'PQ_UNSUPPORTED', operation: OPERATION, message });
}
