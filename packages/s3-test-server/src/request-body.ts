import { createHash, type Hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { decodeAwsChunked } from './aws-chunked.ts';
import type { Blob, BlobStore } from './blob-store.ts';
import {
  checksumAlgorithms,
  checksumAmong,
  createChecksum,
  type RunningChecksum,
  type StoredChecksum,
} from './checksums.ts';
import { S3Error } from './s3-error.ts';
import type { SignatureSeed } from './signature.ts';

export interface ReceivedBody {
  readonly blob: Blob;
  readonly md5Hex: string;
  readonly checksum: StoredChecksum | undefined;
}

export interface BodySource {
  readonly headers: IncomingHttpHeaders;
  readonly stream: AsyncIterable<Uint8Array>;
  readonly seed: SignatureSeed;
  readonly trailingChecksumsRejected: boolean;
}

/**
 * Receives a request body into the store and checks everything that the client said about it: payload hash,
 * chunk signatures, `Content-MD5`, flexible checksum in header or trailer, decoded length.
 */
export async function receiveBody(source: BodySource, store: BlobStore): Promise<ReceivedBody> {
  const payloadHash = String(source.headers['x-amz-content-sha256'] ?? '');
  const trailers: Record<string, string> = {};
  const isChunked = payloadHash.startsWith('STREAMING-');
  if (isChunked && source.trailingChecksumsRejected)
    throw new S3Error(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  const plain = isChunked
    ? decodeAwsChunked(source.stream, {
        seed: payloadHash.startsWith('STREAMING-AWS4') ? source.seed : undefined,
        onTrailer: (name, value) => {
          trailers[name] = value;
        },
      })
    : source.stream;
  const sums = new BodySums(source.headers);
  const blob = await store.store(sums.pass(plain));
  try {
    const checksum = sums.check({ ...source.headers, ...trailers }, isChunked ? undefined : payloadHash);
    checkLength(source.headers, isChunked, blob.sizeBytes);
    return { blob, md5Hex: sums.md5Hex, checksum };
  } catch (error) {
    await blob.dispose();
    throw error;
  }
}

function checkLength(headers: IncomingHttpHeaders, isChunked: boolean, sizeBytes: number): void {
  const announced = isChunked ? headers['x-amz-decoded-content-length'] : headers['content-length'];
  if (announced === undefined)
    throw new S3Error(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  if (Number(announced) !== sizeBytes)
    throw new S3Error(400, 'IncompleteBody', `The body has ${sizeBytes} bytes, announced were ${announced}`);
}

class BodySums {
  readonly #md5: Hash = createHash('md5');
  readonly #sha256: Hash | undefined;
  readonly #checksums = new Map<string, RunningChecksum>();
  #md5Hex = '';

  constructor(headers: IncomingHttpHeaders) {
    if (/^[0-9a-f]{64}$/.test(String(headers['x-amz-content-sha256']))) this.#sha256 = createHash('sha256');
    const announced = checksumAmong(headers)?.algorithm ?? trailerAlgorithm(headers);
    if (announced === undefined) return;
    if (!checksumAlgorithms.includes(announced))
      throw new S3Error(400, 'InvalidRequest', `Checksum algorithm ${announced} is not known here`);
    this.#checksums.set(announced, createChecksum(announced));
  }

  get md5Hex(): string {
    return this.#md5Hex;
  }

  async *pass(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const bytes of source) {
      this.#md5.update(bytes);
      this.#sha256?.update(bytes);
      for (const checksum of this.#checksums.values()) checksum.update(bytes);
      yield bytes;
    }
  }

  check(
    fields: Readonly<Record<string, string | string[] | undefined>>,
    payloadHash: string | undefined,
  ): StoredChecksum | undefined {
    const md5 = this.#md5.digest();
    this.#md5Hex = md5.toString('hex');
    if (this.#sha256 !== undefined && this.#sha256.digest('hex') !== payloadHash)
      throw new S3Error(
        400,
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      );
    const givenMd5 = fields['content-md5'];
    if (givenMd5 !== undefined && givenMd5 !== md5.toString('base64'))
      throw new S3Error(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');
    const given = checksumAmong(fields);
    if (given === undefined) return undefined;
    if (this.#checksums.get(given.algorithm)?.base64() !== given.base64)
      throw new S3Error(
        400,
        'BadDigest',
        `The ${given.algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
      );
    return given;
  }
}

function trailerAlgorithm(headers: IncomingHttpHeaders): string | undefined {
  const trailer = headers['x-amz-trailer'];
  return typeof trailer === 'string' ? checksumAmong({ [trailer.toLowerCase()]: '' })?.algorithm : undefined;
}
