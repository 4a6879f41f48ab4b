import type { IncomingHttpHeaders } from 'node:http';
import type { Bucket, MultipartUpload, ObjectHeaders, StoredObject } from './bucket.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './s3-error.ts';

const KEPT_HEADERS = new Set([
  'content-type',
  'x-amz-storage-class',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-server-side-encryption-customer-key-md5',
]);

export function bucketOf(call: S3Call, name: string = call.bucketName): Bucket {
  const bucket = call.state.buckets.get(name);
  if (bucket === undefined)
    throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist', {
      details: { BucketName: name },
    });
  return bucket;
}

export function objectOf(call: S3Call): StoredObject {
  const object = bucketOf(call).get(call.key);
  if (object === undefined)
    throw new S3Error(404, 'NoSuchKey', 'The specified key does not exist.', { details: { Key: call.key } });
  return object;
}

export function uploadOf(call: S3Call): { readonly id: string; readonly upload: MultipartUpload } {
  const id = call.query.get('uploadId') ?? '';
  const upload = bucketOf(call).uploads.get(id);
  if (upload === undefined || upload.key !== call.key)
    throw new S3Error(404, 'NoSuchUpload', 'The specified upload does not exist.');
  return { id, upload };
}

/** The object that `x-amz-copy-source` names. */
export function copySource(call: S3Call): { readonly object: StoredObject } {
  const header = decodeURIComponent(String(call.headers['x-amz-copy-source'] ?? '')).replace(/^\//, '');
  const slash = header.indexOf('/');
  const object = bucketOf(call, header.slice(0, slash)).get(header.slice(slash + 1));
  if (object === undefined) throw new S3Error(404, 'NoSuchKey', 'The copy source does not exist.');
  return { object };
}

/** The request headers that stay with an object. */
export function keptHeaders(headers: IncomingHttpHeaders): ObjectHeaders {
  const kept = Object.entries(headers).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === 'string' && (KEPT_HEADERS.has(entry[0]) || entry[0].startsWith('x-amz-meta-')),
  );
  return Object.fromEntries(kept);
}
