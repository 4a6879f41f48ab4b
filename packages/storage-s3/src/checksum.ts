import { crc32 } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import type { S3Checksum } from './options.ts';

/** Input members that carry a checksum, as PutObject, UploadPart and CompleteMultipartUpload have them. */
export interface ChecksumFields {
  readonly ChecksumCRC32?: string;
  readonly ChecksumCRC32C?: string;
}

type Update = (bytes: Uint8Array, value: number) => number;

const UPDATES: Readonly<Record<Exclude<S3Checksum, 'none'>, Update>> = {
  crc32: (bytes, value) => crc32(bytes, value),
  crc32c: (bytes, value) => crc32c(bytes, value),
};

/** The checksum of a body as a request's input. Native code: about 0.2 CPU seconds a GB. */
export function checksumFields(kind: S3Checksum, bytes: Uint8Array): ChecksumFields {
  if (kind === 'none') return {};
  const text = toBase64(UPDATES[kind](bytes, 0));
  return kind === 'crc32' ? { ChecksumCRC32: text } : { ChecksumCRC32C: text };
}

/** `ChecksumAlgorithm` of CreateMultipartUpload. */
export function checksumAlgorithm(kind: S3Checksum): { readonly ChecksumAlgorithm?: 'CRC32' | 'CRC32C' } {
  if (kind === 'none') return {};
  return { ChecksumAlgorithm: kind === 'crc32' ? 'CRC32' : 'CRC32C' };
}

/** A checksum that grows with a body that is read. */
export interface ExpectedChecksum {
  update(bytes: Uint8Array): void;
  /** Expected and found, in base64, where they differ. */
  mismatch(): { readonly expected: string; readonly found: string } | undefined;
}

/** What a whole object is checked against; undefined where its store keeps none, or one of its parts only. */
export function expectedChecksum(
  fields: {
    readonly [Name in keyof ChecksumFields]?: string | undefined;
  },
): ExpectedChecksum | undefined {
  const kind = fields.ChecksumCRC32C === undefined ? 'crc32' : 'crc32c';
  const expected = fields.ChecksumCRC32C ?? fields.ChecksumCRC32;
  if (expected === undefined || expected.includes('-')) return undefined;
  let value = 0;
  return {
    update: (bytes) => {
      value = UPDATES[kind](bytes, value);
    },
    mismatch: () => {
      const found = toBase64(value);
      return found === expected ? undefined : { expected, found };
    },
  };
}

function toBase64(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.toString('base64');
}
