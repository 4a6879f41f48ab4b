import { errnoOf, rmdir } from './fs-calls.ts';
import { type FsRoot, isMissing } from './fs-root.ts';

/**
 * Removes the directory and its parents as far as they are empty, never the root: an object store has no directories
 * either once their objects are gone. Gives the key of the nearest directory that stayed.
 */
export async function pruneDirectory(root: FsRoot, directoryKey: string): Promise<string> {
  let each = directoryKey;
  while (each !== '') {
    try {
      await rmdir(root.directoryPath(each));
    } catch (error) {
      if (!isMissing(error)) {
        if (isNotEmpty(error)) return each;
        throw error;
      }
    }
    root.forget(each);
    each = root.parentOf(each);
  }
  return each;
}

export function isNotEmpty(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOTEMPTY' || errno === 'EEXIST';
}
