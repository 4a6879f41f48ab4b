import type { Detection } from '@neon-snapshot/format-core';
import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { CONTROL_FILE_PATH, PG_VERSION_PATH } from './data-directory-layout.ts';

/** A data directory has `PG_VERSION` and `global/pg_control`. Two HEAD requests at most. */
export async function detect(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Detection> {
  for (const key of [PG_VERSION_PATH, CONTROL_FILE_PATH]) {
    try {
      await storage.head(key, options);
    } catch (error) {
      if (isStorageError(error, 'STORAGE_NOT_FOUND')) return { found: false, reason: `there is no ${key}` };
      throw error;
    }
  }
  return { found: true, reason: `${PG_VERSION_PATH} and ${CONTROL_FILE_PATH} are there` };
}
