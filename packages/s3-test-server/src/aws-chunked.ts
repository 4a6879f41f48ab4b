import { createHash } from 'node:crypto';
import { S3Error } from './s3-error.ts';
import { chunkSignature, type SignatureSeed } from './signature.ts';

const LINE_LENGTH_MAX_BYTES = 4096;
const CRLF = Buffer.from('\r\n');

export interface AwsChunkedOptions {
  /** Set when each chunk is signed (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD…`). */
  readonly seed: SignatureSeed | undefined;
  /** Told each trailing header, lower case name. */
  onTrailer(name: string, value: string): void;
}

/** Decodes an `aws-chunked` body and checks chunk and trailer signatures. */
export async function* decodeAwsChunked(
  source: AsyncIterable<Uint8Array>,
  options: AwsChunkedOptions,
): AsyncIterable<Uint8Array> {
  const reader = new ChunkReader(source);
  let previous = options.seed?.signature ?? '';
  for (;;) {
    const [size = '', ...extensions] = (await reader.line()).split(';');
    const length = Number.parseInt(size, 16);
    if (!/^[0-9a-f]+$/i.test(size)) throw malformed('a chunk has no size');
    const hash = createHash('sha256');
    for await (const bytes of reader.bytes(length)) {
      hash.update(bytes);
      yield bytes;
    }
    if (options.seed !== undefined) {
      const given = extensions.find((part) => part.startsWith('chunk-signature='))?.slice(16);
      const expected = chunkSignature(options.seed, {
        previous,
        kind: 'PAYLOAD',
        contentSha256: hash.digest('hex'),
      });
      if (given !== expected) throw mismatch();
      previous = expected;
    }
    if (length === 0) break;
    if ((await reader.line()) !== '') throw malformed('a chunk is longer than it says');
  }
  await readTrailers(reader, options, previous);
}

async function readTrailers(
  reader: ChunkReader,
  options: AwsChunkedOptions,
  previous: string,
): Promise<void> {
  let canonical = '';
  let signature: string | undefined;
  for (let line = await reader.line(); line !== ''; line = await reader.line()) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'x-amz-trailer-signature') {
      signature = value;
      continue;
    }
    canonical += `${name}:${value}\n`;
    options.onTrailer(name, value);
  }
  if (options.seed === undefined || canonical === '') return;
  const contentSha256 = createHash('sha256').update(canonical).digest('hex');
  if (signature !== chunkSignature(options.seed, { previous, kind: 'TRAILER', contentSha256 }))
    throw mismatch();
}

/** Lines and counted bytes of one stream. */
class ChunkReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#buffered.indexOf(CRLF);
      if (end >= 0) {
        const line = this.#buffered.toString('latin1', 0, end);
        this.#buffered = this.#buffered.subarray(end + CRLF.length);
        return line;
      }
      if (this.#buffered.length > LINE_LENGTH_MAX_BYTES) throw malformed('a line is too long');
      const more = await this.#next();
      if (more === undefined) {
        if (this.#buffered.length === 0) return '';
        throw malformed('the body ends inside a line');
      }
      this.#buffered = Buffer.concat([this.#buffered, more]);
    }
  }

  async *bytes(length: number): AsyncIterable<Uint8Array> {
    let left = length;
    while (left > 0) {
      if (this.#buffered.length === 0) {
        const more = await this.#next();
        if (more === undefined) throw new S3Error(400, 'IncompleteBody', 'The body ends inside a chunk');
        this.#buffered = more;
      }
      const bytes = this.#buffered.subarray(0, left);
      this.#buffered = this.#buffered.subarray(bytes.length);
      left -= bytes.length;
      yield bytes;
    }
  }

  async #next(): Promise<Buffer | undefined> {
    const result = await this.#source.next();
    return result.done === true ? undefined : Buffer.from(result.value);
  }
}

function malformed(what: string): S3Error {
  return new S3Error(400, 'IncompleteBody', `Malformed aws-chunked body: ${what}`);
}

function mismatch(): S3Error {
  return new S3Error(403, 'SignatureDoesNotMatch', 'A chunk signature does not match');
}
