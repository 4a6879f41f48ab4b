import type { S3Config } from './config.ts';
import type { PartMemory } from './part-memory.ts';
import type { Requester } from './requester.ts';

/** What the verbs of one opened storage share. */
export interface S3Context {
  readonly config: S3Config;
  readonly requester: Requester;
  readonly memory: PartMemory;
  /** What was learned about the server on the way. */
  readonly dialect: S3Dialect;
  /** A fresh id, to recognise our own write when its answer was lost. */
  newWriteId(): string;
}

interface S3Dialect {
  /** Ceph compares `If-Match` with the ETag without its quotes. */
  ifMatchQuoted: boolean;
  /** False once DeleteObjects was answered with "not implemented". */
  hasDeleteObjects: boolean;
  /** True once the bucket was seen, so that a 404 without a document means the key. */
  bucketSeen: boolean;
}

/** Bucket and full key of a relative key. */
export function target(context: S3Context, key: string): { readonly Bucket: string; readonly Key: string } {
  return { Bucket: context.config.bucket, Key: context.config.keyPrefix + key };
}

/** An ETag as the port hands it out: opaque, without the quotes of the header. */
export function plainEtag(etag: string | undefined): { readonly etag?: string } {
  return etag === undefined || etag === '' ? {} : { etag: etag.replace(/^"(.*)"$/, '$1') };
}
