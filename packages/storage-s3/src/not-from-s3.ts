import { StorageError, type StorageOperation } from '@neon-snapshot/storage-core';
import type { S3Context } from './context.ts';

/**
 * For an answer that says "done" without what S3 says then: a web console or a proxy answers 200 to everything, and
 * believing it would lose what was written.
 */
export function notFromS3Error(
  context: S3Context,
  place: { readonly operation: StorageOperation; readonly key?: string },
): StorageError {
  const { endpoint, url } = context.config;
  const where = place.key === undefined ? url : `${url}/${place.key}`;
  return new StorageError({
    code: 'STORAGE_IO',
    operation: place.operation,
    key: place.key,
    message: `${endpoint ?? 'AWS'} answered ${place.operation} of ${where} with something that is not from S3; is it the endpoint of the S3 API, not of a web console?`,
    context: { endpoint },
  });
}
