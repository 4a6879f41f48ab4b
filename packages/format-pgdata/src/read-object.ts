import { FormatError } from '@neon-snapshot/format-core';
import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';

export interface ReadObjectOptions {
  readonly sizeMaxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** A small object as a whole, or undefined where there is none. */
export async function readObjectIfAny(
  storage: Storage,
  key: string,
  options: ReadObjectOptions,
): Promise<Uint8Array | undefined> {
  try {
    const { body } = await storage.get(key, { signal: options.signal });
    return await readAll(body, { sizeMaxBytes: options.sizeMaxBytes, key });
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** A small object as a whole; `FORMAT_NOT_FOUND` with the hint where there is none. */
export async function readObject(
  storage: Storage,
  key: string,
  options: ReadObjectOptions & { readonly hint: string },
): Promise<Uint8Array> {
  const bytes = await readObjectIfAny(storage, key, options);
  if (bytes !== undefined) return bytes;
  throw new FormatError({
    code: 'FORMAT_NOT_FOUND',
    operation: `read ${key}`,
    message: `${storage.url} has no ${key}; ${options.hint}`,
    context: { path: key },
  });
}
