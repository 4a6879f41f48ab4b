import { FormatError, type WriteContext } from '@neon-snapshot/format-core';
import { assertPostgresMajor } from '@neon-snapshot/postgres';
import { isStorageError } from '@neon-snapshot/storage-core';

/** `FORMAT_UNSUPPORTED` for a major that is not known, `FORMAT_NOT_EMPTY` where something lies at the destination. */
export async function assertDestination(context: WriteContext): Promise<void> {
  try {
    assertPostgresMajor(context.source.info.postgresMajor);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError({ code: 'FORMAT_UNSUPPORTED', operation: 'open writer', message, cause });
  }
  const found = await firstEntry(context);
  if (found === undefined) return;
  throw new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'check destination',
    message: `${context.storage.url} is not empty: it has ${found}; give an empty or a new place`,
    context: { found },
  });
}

async function firstEntry({ storage, signal }: WriteContext): Promise<string | undefined> {
  try {
    for await (const { objects, prefixes } of storage.list({ delimiter: '/', signal })) {
      const found = objects[0]?.key ?? prefixes[0];
      if (found !== undefined) return found;
    }
  } catch (error) {
    if (!isStorageError(error, 'STORAGE_NOT_FOUND')) throw error;
  }
  return undefined;
}
