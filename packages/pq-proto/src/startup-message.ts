import { BodyReader } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';
import { STARTUP_CODE } from './message-types.ts';
import { protocolError } from './pq-error.ts';

/** `MAX_STARTUP_PACKET_LENGTH` of pqcomm.h. */
export const STARTUP_BYTES_MAX = 10_000;

/** The first message of a connection; it has no type byte. */
export type StartupMessage =
  | {
      readonly kind: 'startup';
      readonly parameters: ReadonlyMap<string, string>;
      readonly minorVersion: number;
    }
  | { readonly kind: 'ssl-request' }
  | { readonly kind: 'gssenc-request' }
  | { readonly kind: 'cancel-request'; readonly processId: number; readonly secretKey: Buffer };

/** Body: code u32; for a startup: (name NUL, value NUL)*, NUL; for a cancel request: process u32, key (4 bytes, 3.2: more). */
export function decodeStartupMessage(body: Buffer): StartupMessage {
  const reader = new BodyReader(body, 'startup');
  const code = reader.uint32();
  if (code === STARTUP_CODE.SslRequest) return { kind: 'ssl-request' };
  if (code === STARTUP_CODE.GssEncRequest) return { kind: 'gssenc-request' };
  if (code === STARTUP_CODE.CancelRequest)
    return { kind: 'cancel-request', processId: reader.uint32(), secretKey: reader.rest() };
  if (code >>> 16 !== 3)
    throw protocolError(
      'start session',
      `the client speaks protocol ${code >>> 16}.${code & 0xffff}; this server speaks 3.0`,
    );
  const parameters = new Map<string, string>();
  for (;;) {
    const name = reader.cstring();
    if (name === '') break;
    parameters.set(name, reader.cstring());
  }
  reader.end();
  return { kind: 'startup', parameters, minorVersion: code & 0xffff };
}

/** The whole message, length included. */
export function encodeStartupMessage(message: StartupMessage): Buffer {
  const writer = new BodyWriter();
  switch (message.kind) {
    case 'ssl-request':
      writer.uint32(STARTUP_CODE.SslRequest);
      break;
    case 'gssenc-request':
      writer.uint32(STARTUP_CODE.GssEncRequest);
      break;
    case 'cancel-request':
      writer.uint32(STARTUP_CODE.CancelRequest).uint32(message.processId).bytes(message.secretKey);
      break;
    case 'startup':
      writer.uint32(STARTUP_CODE.Protocol3 + message.minorVersion);
      for (const [name, value] of message.parameters) writer.cstring(name).cstring(value);
      writer.uint8(0);
      break;
  }
  const body = writer.finish();
  return new BodyWriter()
    .uint32(body.length + 4)
    .bytes(body)
    .finish();
}
