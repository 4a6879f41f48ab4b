import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';

/** The checksum that an object or part was stored with. */
export interface StoredChecksum {
  /** Lower case, as in the header name: `crc32c`. */
  readonly algorithm: string;
  readonly base64: string;
}

export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  base64(): string;
}

const HEADER_PREFIX = 'x-amz-checksum-';
const NOT_A_VALUE = new Set(['algorithm', 'type', 'mode']);

/** Lower-case names of the algorithms that can be checked here. */
export const checksumAlgorithms: readonly string[] = ['crc32', 'crc32c', 'sha1', 'sha256'];

export function createChecksum(algorithm: string): RunningChecksum {
  if (algorithm === 'crc32' || algorithm === 'crc32c') {
    const update = algorithm === 'crc32' ? crc32 : crc32c;
    let value = 0;
    return {
      update: (bytes) => {
        value = update(bytes, value);
      },
      base64: () => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(value >>> 0);
        return bytes.toString('base64');
      },
    };
  }
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), base64: () => hash.digest('base64') };
}

/** Checksum of a multipart object: over the checksums of its parts, with their number. */
export function compositeChecksum(parts: readonly StoredChecksum[]): StoredChecksum | undefined {
  const algorithm = parts[0]?.algorithm;
  if (algorithm === undefined) return undefined;
  const whole = createChecksum(algorithm);
  for (const part of parts) whole.update(Buffer.from(part.base64, 'base64'));
  return { algorithm, base64: `${whole.base64()}-${parts.length}` };
}

/** The checksum value among headers or trailers, where there is one. */
export function checksumAmong(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): StoredChecksum | undefined {
  for (const [name, value] of Object.entries(headers)) {
    const algorithm = name.startsWith(HEADER_PREFIX) ? name.slice(HEADER_PREFIX.length) : '';
    if (algorithm === '' || NOT_A_VALUE.has(algorithm) || typeof value !== 'string') continue;
    return { algorithm, base64: value };
  }
  return undefined;
}
