import { createBucket, deleteBucket, deleteObjects, headBucket } from './bucket-operations.ts';
import type { S3Call, S3Reply } from './call.ts';
import { listBuckets, listObjectsV2 } from './list-operations.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
  uploadPartCopy,
} from './multipart-operations.ts';
import { copyObject, deleteObject, getObject, headObject, putObject } from './object-operations.ts';

const HANDLERS = {
  AbortMultipartUpload: abortMultipartUpload,
  CompleteMultipartUpload: completeMultipartUpload,
  CopyObject: copyObject,
  CreateBucket: createBucket,
  CreateMultipartUpload: createMultipartUpload,
  DeleteBucket: deleteBucket,
  DeleteObject: deleteObject,
  DeleteObjects: deleteObjects,
  GetObject: getObject,
  HeadBucket: headBucket,
  HeadObject: headObject,
  ListBuckets: listBuckets,
  ListMultipartUploads: listMultipartUploads,
  ListObjectsV2: listObjectsV2,
  ListParts: listParts,
  PutObject: putObject,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
} as const satisfies Record<string, (call: S3Call) => Promise<S3Reply>>;

/** An operation under the name that S3's API has for it. */
export type S3Operation = keyof typeof HANDLERS;

export interface RouteTarget {
  readonly bucketName: string;
  readonly key: string;
  readonly query: URLSearchParams;
}

/** Splits a path-style request target; the key is taken as it stands, without any path normalisation. */
export function parseTarget(target: string): RouteTarget {
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const query = new URLSearchParams(question < 0 ? '' : target.slice(question + 1));
  const slash = path.indexOf('/', 1);
  const bucketName = decodeURIComponent(slash < 0 ? path.slice(1) : path.slice(1, slash));
  const key = slash < 0 ? '' : decodeURIComponent(path.slice(slash + 1));
  return { bucketName, key, query };
}

/** The operation that a request asks for; undefined where none is known here. */
export function operationOf(
  method: string,
  target: RouteTarget,
  hasCopySource: boolean,
): S3Operation | undefined {
  const { bucketName, key, query } = target;
  if (bucketName === '') return method === 'GET' ? 'ListBuckets' : undefined;
  if (key === '') return bucketOperation(method, query);
  switch (method) {
    case 'GET':
      return query.has('uploadId') ? 'ListParts' : 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'DELETE':
      return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject';
    case 'PUT':
      if (query.has('partNumber')) return hasCopySource ? 'UploadPartCopy' : 'UploadPart';
      return hasCopySource ? 'CopyObject' : 'PutObject';
    case 'POST':
      if (query.has('uploads')) return 'CreateMultipartUpload';
      return query.has('uploadId') ? 'CompleteMultipartUpload' : undefined;
    default:
      return undefined;
  }
}

export function handle(operation: S3Operation, call: S3Call): Promise<S3Reply> {
  return HANDLERS[operation](call);
}

function bucketOperation(method: string, query: URLSearchParams): S3Operation | undefined {
  switch (method) {
    case 'GET':
      if (query.has('uploads')) return 'ListMultipartUploads';
      return query.get('list-type') === '2' ? 'ListObjectsV2' : undefined;
    case 'HEAD':
      return 'HeadBucket';
    case 'PUT':
      return 'CreateBucket';
    case 'DELETE':
      return 'DeleteBucket';
    case 'POST':
      return query.has('delete') ? 'DeleteObjects' : undefined;
    default:
      return undefined;
  }
}
