import { HeadBucketCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import {
  isStorageError,
  type ObjectInfo,
  StorageError,
  type StorageOperation,
} from '@neon-snapshot/storage-core';
import { plainEtag, type S3Context, target } from './context.ts';
import { customerKeyFields } from './encryption.ts';

/** Facts of one object. */
export async function headObject(
  context: S3Context,
  key: string,
  signal: AbortSignal | undefined,
  operation: StorageOperation = 'head',
): Promise<ObjectInfo> {
  const place = { operation, key, signal };
  try {
    const head = await context.requester.send(place, (client, options) =>
      client.send(
        new HeadObjectCommand({ ...target(context, key), ...customerKeyFields(context.config.encryption) }),
        options,
      ),
    );
    context.dialect.bucketSeen = true;
    return {
      key,
      sizeBytes: head.ContentLength ?? 0,
      ...plainEtag(head.ETag),
      ...(head.LastModified === undefined ? {} : { modifiedAt: head.LastModified }),
    };
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) await assertBucket(context, operation, signal);
    throw error;
  }
}

/** The 404 of a HEAD does not say whether the key or the bucket is missing: asked once, until the bucket was seen. */
async function assertBucket(
  context: S3Context,
  operation: StorageOperation,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (context.dialect.bucketSeen) return;
  const { bucket, endpoint } = context.config;
  try {
    await context.requester.send({ operation, signal }, (client, options) =>
      client.send(new HeadBucketCommand({ Bucket: bucket }), options),
    );
    context.dialect.bucketSeen = true;
  } catch (cause) {
    // Without permission for HeadBucket the missing key is the better answer.
    if (!isStorageError(cause, 'STORAGE_NOT_FOUND')) return;
    throw new StorageError({
      code: 'STORAGE_BUCKET_NOT_FOUND',
      operation,
      message: `there is no bucket ${bucket} at ${endpoint ?? 'AWS'}; create it first, or check the endpoint`,
      context: { bucket, endpoint },
      cause,
    });
  }
}
