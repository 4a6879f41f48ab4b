import type { Storage } from '@neon-snapshot/storage-core';
import type { S3StorageOptions } from './options.ts';

/**
 * Opens a bucket, or a prefix of it, without a URL. Loads the SDK; makes no request. Throws `STORAGE_INVALID_OPTION`.
 * The storage is to be disposed of.
 */
export async function openS3Storage(options: S3StorageOptions): Promise<Storage> {
  const { open } = await import('./s3-storage.ts');
  return open(options);
}
