import type { Detection, FormatPlugin } from '@neon-snapshot/format-core';
import { SUPPORTED_MAJORS } from '@neon-snapshot/postgres';
import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { openReader } from './reader.ts';
import { INDEX_KEY } from './stored-snapshot.ts';
import { openWriter } from './writer.ts';

/** The format `template`: every file an object, and an index with checksums. */
export const plugin: FormatPlugin = {
  kind: 'format',
  name: 'template',
  capability: { holdsWal: false, tablespaces: false, majors: SUPPORTED_MAJORS, reads: true, writes: true },
  readOptions: [],
  writeOptions: [],
  detect,
  openReader,
  openWriter,
};

async function detect(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Detection> {
  try {
    await storage.head(INDEX_KEY, options);
    return { found: true, reason: `${INDEX_KEY} is there` };
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND'))
      return { found: false, reason: `there is no ${INDEX_KEY}` };
    throw error;
  }
}
