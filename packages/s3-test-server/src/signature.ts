import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { S3Error } from './s3-error.ts';

export interface SignatureConfig {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** When set, every request must carry this session token. */
  readonly sessionToken: string | undefined;
  readonly region: string;
  /** Added to this machine's clock, to play a server whose clock differs. */
  readonly clockOffsetMs: number;
}

export interface SignedRequest {
  readonly method: string;
  /** Path and query as they stood on the request line. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** What the chunk signatures of a streamed body build on. */
export interface SignatureSeed {
  readonly signature: string;
  readonly signingKey: Buffer;
  readonly scope: string;
  readonly date: string;
}

const CLOCK_SKEW_MAX_MS = 15 * 60 * 1000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/;

/** Checks the SigV4 `Authorization` header; throws the error that S3 would answer with. */
export function verifySignature(request: SignedRequest, config: SignatureConfig): SignatureSeed {
  const header = request.headers.authorization;
  if (header === undefined) throw new S3Error(403, 'AccessDenied', 'The request is not signed');
  const match = AUTHORIZATION.exec(header);
  if (match === null)
    throw new S3Error(400, 'AuthorizationHeaderMalformed', 'The authorization header is malformed');
  const [, credential = '', signedHeaders = '', signature = ''] = match;
  const slash = credential.indexOf('/');
  const scope = credential.slice(slash + 1);
  const date = String(request.headers['x-amz-date'] ?? '');
  checkScope(credential.slice(0, slash), scope, date, config);
  checkToken(request.headers, config);
  checkClock(date, config);
  const signingKey = deriveSigningKey(config.secretAccessKey, scope);
  const stringToSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256Hex(canonicalRequest(request, signedHeaders))}`;
  if (!isEqual(hmac(signingKey, stringToSign).toString('hex'), signature))
    throw new S3Error(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  return { signature, signingKey, scope, date };
}

/** Signature of one chunk of an `aws-chunked` body, or of its trailer. */
export function chunkSignature(
  seed: SignatureSeed,
  options: {
    readonly previous: string;
    readonly kind: 'PAYLOAD' | 'TRAILER';
    readonly contentSha256: string;
  },
): string {
  const middle = options.kind === 'PAYLOAD' ? `${sha256Hex('')}\n` : '';
  const stringToSign = `AWS4-HMAC-SHA256-${options.kind}\n${seed.date}\n${seed.scope}\n${options.previous}\n${middle}${options.contentSha256}`;
  return hmac(seed.signingKey, stringToSign).toString('hex');
}

function checkScope(keyId: string, scope: string, date: string, config: SignatureConfig): void {
  if (keyId !== config.accessKeyId)
    throw new S3Error(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
    );
  const [day, region, service, end] = scope.split('/');
  if (region !== config.region)
    throw new S3Error(
      400,
      'AuthorizationHeaderMalformed',
      `The authorization header is malformed; the region '${region}' is wrong; expecting '${config.region}'`,
      { details: { Region: config.region }, headers: { 'x-amz-bucket-region': config.region } },
    );
  if (service !== 's3' || end !== 'aws4_request' || day !== date.slice(0, 8))
    throw new S3Error(400, 'AuthorizationHeaderMalformed', 'The credential scope is malformed');
}

function checkToken(headers: IncomingHttpHeaders, config: SignatureConfig): void {
  const token = headers['x-amz-security-token'];
  if (token !== config.sessionToken)
    throw new S3Error(400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.');
}

function checkClock(date: string, config: SignatureConfig): void {
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const skewMs = Math.abs(Date.parse(iso) - (Date.now() + config.clockOffsetMs));
  if (!(skewMs <= CLOCK_SKEW_MAX_MS))
    throw new S3Error(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    );
}

function canonicalRequest(request: SignedRequest, signedHeaders: string): string {
  const question = request.target.indexOf('?');
  const path = question < 0 ? request.target : request.target.slice(0, question);
  const query = question < 0 ? '' : request.target.slice(question + 1);
  const headers = signedHeaders.split(';').map((name) => {
    const value = request.headers[name];
    const text = Array.isArray(value) ? value.join(',') : (value ?? '');
    return `${name}:${text.trim().replace(/ +/g, ' ')}\n`;
  });
  const payloadHash = String(request.headers['x-amz-content-sha256'] ?? '');
  return [request.method, path, canonicalQuery(query), headers.join(''), signedHeaders, payloadHash].join(
    '\n',
  );
}

function canonicalQuery(query: string): string {
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))] as const;
    });
  return pairs
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function deriveSigningKey(secret: string, scope: string): Buffer {
  let key: Buffer = Buffer.from(`AWS4${secret}`);
  for (const part of scope.split('/')) key = hmac(key, part);
  return key;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
