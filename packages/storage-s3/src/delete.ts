import { DeleteObjectCommand, DeleteObjectsCommand } from '@aws-sdk/client-s3';
import { isStorageError, StorageError } from '@neon-snapshot/storage-core';
import { type S3Context, target } from './context.ts';
import { TaskGroup } from './task-group.ts';

/** Single deletes in flight, where the server has no batches. */
const SINGLE_DELETES_IN_FLIGHT = 16;
const RETRIED_ERRORS = new Set(['InternalError', 'ServiceUnavailable', 'SlowDown', 'OperationAborted']);
const BATCH_REPEATS_MAX = 5;

/** Deletes in batches; one by one where the server has no DeleteObjects. */
export async function deleteObjects(
  context: S3Context,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { deleteBatchSize } = context.config;
  for (let start = 0; start < keys.length; start += deleteBatchSize) {
    const batch = keys.slice(start, start + deleteBatchSize);
    if (batch.length === 1 || !(await deleteBatch(context, batch, signal)))
      await deleteOneByOne(context, batch, signal);
  }
}

/** False when the server has no DeleteObjects: nothing was deleted then. */
async function deleteBatch(
  context: S3Context,
  batch: readonly string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!context.dialect.hasDeleteObjects) return false;
  let left = batch;
  for (let repeat = 1; ; repeat++) {
    let failures: readonly KeyFailure[];
    try {
      failures = await sendBatch(context, left, signal);
    } catch (error) {
      if (!isStorageError(error, 'STORAGE_UNSUPPORTED')) throw error;
      context.dialect.hasDeleteObjects = false;
      return false;
    }
    const [failure] = failures;
    if (failure === undefined) return true;
    const error = batchError(context, failure, failures.length);
    if (repeat > BATCH_REPEATS_MAX) throw error;
    await context.requester.pause(repeat, error, { operation: 'delete', key: failure.key, signal });
    left = failures.map(({ key }) => key);
  }
}

interface KeyFailure {
  readonly key: string;
  readonly code: string;
  readonly message: string;
}

async function sendBatch(
  context: S3Context,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly KeyFailure[]> {
  const { bucket, keyPrefix } = context.config;
  const output = await context.requester.send({ operation: 'delete', signal }, (client, options) =>
    client.send(
      new DeleteObjectsCommand({
        Bucket: bucket,
        Delete: { Objects: keys.map((key) => ({ Key: keyPrefix + key })), Quiet: true },
      }),
      options,
    ),
  );
  return (output.Errors ?? [])
    .filter((error) => error.Code !== 'NoSuchKey')
    .map((error) => ({
      key: (error.Key ?? '').slice(keyPrefix.length),
      code: error.Code ?? 'Unknown',
      message: error.Message ?? '',
    }));
}

async function deleteOneByOne(
  context: S3Context,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await using tasks = new TaskGroup(SINGLE_DELETES_IN_FLIGHT, signal);
  for (const key of keys) await tasks.start((taskSignal) => deleteOne(context, key, taskSignal));
  await tasks.join();
}

async function deleteOne(context: S3Context, key: string, signal: AbortSignal): Promise<void> {
  try {
    await context.requester.send({ operation: 'delete', key, signal }, (client, options) =>
      client.send(new DeleteObjectCommand(target(context, key)), options),
    );
  } catch (error) {
    // Some servers mind a key that is not there.
    if (!isStorageError(error, 'STORAGE_NOT_FOUND')) throw error;
  }
}

function batchError(context: S3Context, failure: KeyFailure, count: number): StorageError {
  const others = count === 1 ? '' : ` and ${count - 1} more`;
  return new StorageError({
    code: failure.code === 'AccessDenied' ? 'STORAGE_ACCESS_DENIED' : 'STORAGE_IO',
    operation: 'delete',
    key: failure.key,
    message: `${failure.key}${others} could not be deleted from ${context.config.url}: ${failure.code} ${failure.message}`,
    retryable: RETRIED_ERRORS.has(failure.code),
    context: { s3Code: failure.code, failedKeys: count },
  });
}
