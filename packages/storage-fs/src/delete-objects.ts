import { type CallOptions, throwIfAborted } from '@neon-snapshot/storage-core';
import { translated } from './errors.ts';
import { errnoOf, forEachLimited, rmdir, unlink } from './fs-calls.ts';
import { type FsRoot, isMissing } from './fs-root.ts';
import { syncPath } from './pending-sync.ts';
import { isNotEmpty, pruneDirectory } from './prune.ts';

const DELETE_CONCURRENCY_MAX = 16;

/** Unlinks files and links, removes empty directories named by a marker, prunes what became empty, and makes it durable. */
export async function deleteObjects(
  root: FsRoot,
  keys: readonly string[],
  options: CallOptions,
): Promise<void> {
  const targets = keys.map((key) => ({ key, path: root.pathOf(key, 'delete') }));
  const parents = new Set<string>();
  await forEachLimited(targets, DELETE_CONCURRENCY_MAX, async ({ key, path }) => {
    throwIfAborted(options.signal, { operation: 'delete', key });
    if (!(await root.checkDirectory(root.parentOf(key), 'delete'))) return;
    const removed = await translated({ operation: 'delete', path, key }, () => removeEntry(key, path));
    if (!removed) return;
    if (key.endsWith('/')) root.forget(key.slice(0, -1));
    parents.add(root.parentOf(key));
  });

  const changed = new Set<string>();
  // Deepest first, so that a parent that is pruned on the way is not visited again.
  for (const parent of [...parents].sort((a, b) => b.length - a.length)) {
    const path = root.directoryPath(parent);
    changed.add(await translated({ operation: 'delete', path }, () => pruneDirectory(root, parent)));
  }
  await forEachLimited([...changed], DELETE_CONCURRENCY_MAX, (directoryKey) =>
    syncPath(root.directoryPath(directoryKey)),
  );
}

/** False where there was nothing of that name, or a marker's directory still holds objects. */
async function removeEntry(key: string, path: string): Promise<boolean> {
  const isMarker = key.endsWith('/');
  try {
    await (isMarker ? rmdir(path.slice(0, -1)) : unlink(path));
    return true;
  } catch (error) {
    if (isMissing(error) || (isMarker && isNotEmpty(error)) || (!isMarker && isDirectoryError(error)))
      return false;
    throw error;
  }
}

/** Linux says EISDIR, POSIX allows EPERM. */
function isDirectoryError(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'EISDIR' || (errno === 'EPERM' && process.platform !== 'linux');
}
