import type { IncomingHttpHeaders } from 'node:http';
import type { Blob, BlobStore } from './blob-store.ts';
import type { Bucket } from './bucket.ts';
import type { ReceivedBody } from './request-body.ts';

/** Ways in which other vendors' servers differ from AWS; each defaults to AWS' behaviour. */
export interface S3Quirks {
  /** `If-None-Match` and `If-Match` on writes: done, answered with 501, or silently ignored. */
  readonly conditionalPut?: 'supported' | 'not-implemented' | 'ignored';
  /** The same on CompleteMultipartUpload. */
  readonly conditionalComplete?: 'supported' | 'ignored';
  /** `If-Match` on writes compares the header's text with the ETag without quotes. */
  readonly ifMatchUnquotedOnly?: boolean;
  readonly deleteObjects?: 'supported' | 'not-implemented' | 'requires-content-md5';
  /** `aws-chunked` bodies are answered with 411. */
  readonly trailingChecksumsRejected?: boolean;
  /** `Range` is ignored: the whole object comes with 200. */
  readonly rangeIgnored?: boolean;
}

/** Server limits, lowered by tests. */
export interface S3Limits {
  readonly partSizeMinBytes: number;
  readonly pageSizeMax: number;
  /** Largest source of CopyObject. */
  readonly copySizeMaxBytes: number;
}

export interface ServerState {
  readonly buckets: Map<string, Bucket>;
  readonly blobs: BlobStore;
  readonly quirks: S3Quirks;
  readonly limits: S3Limits;
  readonly region: string;
}

/** One authenticated request, as an operation sees it. */
export interface S3Call {
  readonly state: ServerState;
  readonly bucketName: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  receive(): Promise<ReceivedBody>;
  /** The whole body as text, for XML documents. */
  receiveText(): Promise<string>;
}

export interface S3Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | BlobRange;
}

/** Bytes `[start, end)` of a stored body. */
export interface BlobRange {
  readonly blob: Blob;
  readonly start: number;
  readonly end: number;
}
