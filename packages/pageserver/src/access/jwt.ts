import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PageServerError } from '../page-server-error.ts';

/** What a token allows, `Claims` of Neon's libs/utils/src/auth.rs. */
export interface JwtClaims {
  /** `tenant`: one tenant's data. `pageserverapi`: everything. */
  readonly scope: string;
  readonly tenantId: string | undefined;
}

/** Checks tokens. */
export interface JwtVerifier {
  /** Throws `PAGESERVER_UNAUTHORIZED`. */
  verify(token: string): JwtClaims;
}

const OPERATION = 'authenticate';
const TOKEN_CHARACTERS_MAX = 16 * 1024;
/** Clocks of two machines may differ by so much, as Neon's page server takes it. */
const LEEWAY_SECONDS = 60;

/**
 * Verifier of EdDSA (Ed25519) tokens by a PEM file with a public key, or a directory of such files, as Neon's
 * `auth_validation_public_key_path`.
 */
export async function loadJwtVerifier(
  path: string,
  options: { readonly now?: () => Date } = {},
): Promise<JwtVerifier> {
  const files = (await stat(path)).isDirectory()
    ? (await readdir(path)).map((name) => join(path, name))
    : [path];
  const keys: KeyObject[] = [];
  for (const file of files) if ((await stat(file)).isFile()) keys.push(readKey(await readFile(file), file));
  if (keys.length === 0) throw invalidKey(path, 'holds no public key');
  const now = options.now ?? (() => new Date());
  return { verify: (token) => verifyToken(token, keys, now()) };
}

function readKey(pem: Buffer, file: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below: OpenSSL's words say nothing.
  }
  throw invalidKey(file, 'is no Ed25519 public key in PEM');
}

function verifyToken(token: string, keys: readonly KeyObject[], now: Date): JwtClaims {
  const [header, payload, signature, ...rest] = token.split('.');
  if (!header || !payload || !signature || rest.length > 0 || token.length > TOKEN_CHARACTERS_MAX)
    throw unauthorized('the token is no JWT');
  if (parsePart(header).alg !== 'EdDSA') throw unauthorized('the token is not signed by EdDSA');
  const signed = Buffer.from(`${header}.${payload}`);
  const bytes = Buffer.from(signature, 'base64url');
  if (!keys.some((key) => verify(null, signed, key, bytes)))
    throw unauthorized('the token is signed by a key that is not known here');
  return claimsOf(parsePart(payload), now);
}

function claimsOf(claims: Readonly<Record<string, unknown>>, now: Date): JwtClaims {
  const { scope, tenant_id: tenantId, exp } = claims;
  if (exp !== undefined && !(typeof exp === 'number' && exp + LEEWAY_SECONDS >= now.getTime() / 1000))
    throw unauthorized('the token has expired');
  if (typeof scope !== 'string') throw unauthorized('the token names no scope');
  return { scope, tenantId: typeof tenantId === 'string' ? tenantId : undefined };
}

function parsePart(part: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // Told below: nothing of a token belongs in a message.
  }
  throw unauthorized('the token is no JWT');
}

/** Throws `PAGESERVER_FORBIDDEN` unless the token is for the tenant; `undefined` stands for the whole server. */
export function assertScope(claims: JwtClaims, tenantId: string | undefined): void {
  if (claims.scope === 'pageserverapi') return;
  if (claims.scope === 'tenant' && tenantId !== undefined && claims.tenantId === tenantId) return;
  throw new PageServerError({
    code: 'PAGESERVER_FORBIDDEN',
    operation: OPERATION,
    message: `a token with scope ${claims.scope} does not allow access to ${tenantId === undefined ? 'the whole page server' : `tenant ${tenantId}`}`,
  });
}

export function unauthorized(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_UNAUTHORIZED', operation: OPERATION, message });
}

function invalidKey(path: string, what: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: OPERATION,
    message: `${path} ${what}; make one with openssl genpkey -algorithm ed25519`,
    context: { path },
  });
}
