import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { PqError, protocolError } from '../pq-error.ts';

/** More rounds than any server asks for (4096 by default) would only burn time. */
const ITERATIONS_MAX = 1_000_000;
const OPERATION = 'authenticate';
const derive = promisify(pbkdf2);

export interface ScramOptions {
  readonly password: string;
  /** `tls-server-end-point` data, where SCRAM-SHA-256-PLUS is used. */
  readonly channelBinding: Buffer | undefined;
  /** True where the client could bind and the server did not offer it: tells the server, so that a downgrade is seen. */
  readonly couldBind: boolean;
  /** For tests. Default: 18 random bytes in base64. */
  readonly nonce?: string;
}

/** One SCRAM-SHA-256 exchange, RFC 5802 and 7677, in the order of its methods. */
export class ScramExchange {
  readonly #password: string;
  readonly #gs2Header: string;
  readonly #bindingData: Buffer;
  readonly #nonce: string;
  #serverSignature: Buffer | undefined;

  constructor(options: ScramOptions) {
    this.#password = prepare(options.password);
    this.#gs2Header = options.channelBinding ? 'p=tls-server-end-point,,' : options.couldBind ? 'y,,' : 'n,,';
    this.#bindingData = options.channelBinding ?? Buffer.alloc(0);
    this.#nonce = options.nonce ?? randomBytes(18).toString('base64');
  }

  /** The user name is empty: Postgres takes the one of the startup message. */
  clientFirst(): string {
    return `${this.#gs2Header}${this.#clientFirstBare()}`;
  }

  #clientFirstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  async clientFinal(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = this.#parseServerFirst(serverFirst);
    const salted = await derive(this.#password, salt, iterations, 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const binding = Buffer.concat([Buffer.from(this.#gs2Header), this.#bindingData]).toString('base64');
    const withoutProof = `c=${binding},r=${nonce}`;
    const authMessage = `${this.#clientFirstBare()},${serverFirst},${withoutProof}`;
    const signature = hmac(storedKey, authMessage);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Throws `PQ_AUTHENTICATION` unless the server proves that it knows the password too. */
  verifyServerFinal(serverFinal: string): void {
    const expected = this.#serverSignature;
    const given = Buffer.from(/^v=([A-Za-z0-9+/=]+)/.exec(serverFinal)?.[1] ?? '', 'base64');
    if (expected && given.length === expected.length && timingSafeEqual(given, expected)) return;
    throw new PqError({
      code: 'PQ_AUTHENTICATION',
      operation: OPERATION,
      message:
        'the server does not prove that it knows the password; it may not be the server that it claims to be',
    });
  }

  #parseServerFirst(text: string) {
    const match = /^r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})(?:,.*)?$/.exec(text);
    const nonce = match?.[1] ?? '';
    const iterations = Number(match?.[3]);
    if (
      match === null ||
      !nonce.startsWith(this.#nonce) ||
      nonce.length === this.#nonce.length ||
      iterations < 1
    )
      throw protocolError(OPERATION, "the server's SCRAM challenge is malformed");
    if (iterations > ITERATIONS_MAX)
      throw new PqError({
        code: 'PQ_UNSUPPORTED',
        operation: OPERATION,
        message: `the server asks for ${iterations} SCRAM iterations; at most ${ITERATIONS_MAX} are done`,
      });
    return { nonce, salt: Buffer.from(match[2] ?? '', 'base64'), iterations };
  }
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** SASLprep (RFC 4013) as far as Postgres goes: a password that it forbids is used as it is. */
function prepare(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const mapped = password
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, ' ')
    .replaceAll(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200c\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu, '')
    .normalize('NFKC');
  return /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\ufff9-\ufffd]/u.test(mapped) || mapped === '' ? password : mapped;
}
