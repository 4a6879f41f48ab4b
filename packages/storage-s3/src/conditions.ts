import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { isStorageError, StorageError, type StorageErrorCode } from '@neon-snapshot/storage-core';
import { plainEtag, type S3Context, target } from './context.ts';
import { customerKeyFields } from './encryption.ts';
import { notFromS3Error } from './not-from-s3.ts';
import type { AttemptHistory } from './requester.ts';

/** One put with its conditions. */
export interface Write {
  readonly key: string;
  readonly ifNoneMatch: '*' | undefined;
  readonly ifMatch: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Stored with the object, so that a write whose answer was lost can be told from somebody else's. */
  readonly writeId: string;
}

export interface ConditionFields {
  readonly IfNoneMatch?: '*';
  readonly IfMatch?: string;
}

const WRITE_ID_METADATA = 'neon-write-id';

export function isConditional(write: Write): boolean {
  return write.ifNoneMatch !== undefined || write.ifMatch !== undefined;
}

export function writeIdFields(write: Write): { readonly Metadata: Record<string, string> } {
  return { Metadata: { [WRITE_ID_METADATA]: write.writeId } };
}

/**
 * Sends the request that makes a write visible, and settles what its failure means: our own earlier attempt had won and
 * only its answer was lost; the server wants `If-Match` without quotes; the condition does not hold; or the
 * server has no conditions at all.
 */
export async function commitWrite(
  context: S3Context,
  write: Write,
  send: (fields: ConditionFields, history: AttemptHistory) => Promise<{ readonly ETag?: string | undefined }>,
): Promise<{ readonly etag?: string }> {
  const history: AttemptHistory = { mayHaveActed: false };
  const attempt = async (quoted: boolean): Promise<{ readonly etag?: string }> => {
    const result = plainEtag((await send(conditionFields(write, quoted), history)).ETag);
    if (result.etag !== undefined) return result;
    // Ceph 16 leaves the ETag of a completed multipart upload empty.
    const found = await headForWrite(context, write);
    if (found?.etag === undefined) throw notFromS3Error(context, { operation: 'put', key: write.key });
    return found?.writeId === write.writeId ? plainEtag(found.etag) : {};
  };
  const { dialect } = context;
  try {
    return await attempt(dialect.ifMatchQuoted);
  } catch (error) {
    if (!isStorageError(error)) throw error;
    const isLost = error.context.s3Code === 'NoSuchUpload';
    const isRefused = error.code === 'STORAGE_PRECONDITION_FAILED';
    if (!isLost && !isRefused) throw conditionError(context, write, error);
    const found = await headForWrite(context, write);
    if (history.mayHaveActed && found?.writeId === write.writeId) return plainEtag(found.etag);
    if (isRefused && dialect.ifMatchQuoted && write.ifMatch !== undefined && found?.etag === write.ifMatch) {
      const result = await attempt(false).catch((cause: unknown) => {
        throw isStorageError(cause) ? conditionError(context, write, cause) : cause;
      });
      dialect.ifMatchQuoted = false;
      return result;
    }
    throw conditionError(context, write, error);
  }
}

/**
 * Checks the conditions by a look at the object: before a large body is sent, and before it becomes visible on servers
 * that ignore conditions on CompleteMultipartUpload.
 */
export async function refuseKnownConflict(context: S3Context, write: Write): Promise<void> {
  if (!isConditional(write)) return;
  const found = await headForWrite(context, write);
  const holds = write.ifNoneMatch === '*' ? found === undefined : found?.etag === write.ifMatch;
  if (!holds) throw conflict(context, write, undefined);
}

function conditionFields(write: Write, quoted: boolean): ConditionFields {
  if (write.ifNoneMatch !== undefined) return { IfNoneMatch: write.ifNoneMatch };
  if (write.ifMatch === undefined) return {};
  return { IfMatch: quoted ? `"${write.ifMatch}"` : write.ifMatch };
}

interface FoundObject {
  readonly etag: string | undefined;
  readonly writeId: string | undefined;
}

async function headForWrite(context: S3Context, write: Write): Promise<FoundObject | undefined> {
  const { key, signal } = write;
  try {
    const head = await context.requester.send({ operation: 'put', key, signal }, (client, options) =>
      client.send(
        new HeadObjectCommand({ ...target(context, key), ...customerKeyFields(context.config.encryption) }),
        options,
      ),
    );
    return { etag: plainEtag(head.ETag).etag, writeId: head.Metadata?.[WRITE_ID_METADATA] };
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** A failure of a conditional write in the words of the port. */
function conditionError(context: S3Context, write: Write, error: StorageError): StorageError {
  if (!isConditional(write)) return error;
  if (error.code === 'STORAGE_UNSUPPORTED')
    return new StorageError({
      code: 'STORAGE_UNSUPPORTED',
      operation: 'put',
      key: write.key,
      message: `${context.config.endpoint ?? 'AWS'} has no conditional put (${write.ifMatch === undefined ? 'If-None-Match' : 'If-Match'}); set conditional_put=false to have this known beforehand`,
      context: error.context,
      cause: error,
    });
  // A missing object is told as 404 by AWS and as 412 by others.
  const isConflict =
    error.code === 'STORAGE_PRECONDITION_FAILED' ||
    (error.code === 'STORAGE_NOT_FOUND' && write.ifMatch !== undefined);
  return isConflict ? conflict(context, write, error) : error;
}

function conflict(context: S3Context, write: Write, cause: StorageError | undefined): StorageError {
  const code: StorageErrorCode =
    write.ifNoneMatch === undefined ? 'STORAGE_PRECONDITION_FAILED' : 'STORAGE_ALREADY_EXISTS';
  const what =
    write.ifNoneMatch === undefined ? `is no longer the version ${write.ifMatch}` : 'exists already';
  return new StorageError({
    code,
    operation: 'put',
    key: write.key,
    message: `${context.config.url}/${write.key} ${what}`,
    ...(cause === undefined ? {} : { context: cause.context, cause }),
  });
}
