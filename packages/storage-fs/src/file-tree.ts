import { type CallOptions, type FileTree, StorageError, throwIfAborted } from '@neon-snapshot/storage-core';
import { type BulkPlace, createBulkVerbs } from './bulk-verbs.ts';
import { translated } from './errors.ts';
import { chmod, errnoOf, statfs, symlink } from './fs-calls.ts';
import { type FsRoot, nearestExisting } from './fs-root.ts';
import type { PendingSync } from './pending-sync.ts';

/** The verbs that only a file system has. Directories and links become durable with `sync`, like deferred puts. */
export function createFileTree({ root, pending, thread }: BulkPlace): FileTree {
  return {
    rootPath: root.path,
    makeDirectory: (key, options) => makeDirectory({ root, pending }, key, options),
    makeLink: (key, target, options = {}) => makeLink({ root, pending }, { key, target, ...options }),
    sync: (options = {}) => pending.sync(options.signal),
    freeBytes: (options = {}) => freeBytes(root, options),
    ...createBulkVerbs({ root, pending, thread }),
  };
}

interface TreePlace {
  readonly root: FsRoot;
  readonly pending: PendingSync;
}

async function makeDirectory(
  { root, pending }: TreePlace,
  key: string,
  options: { readonly mode: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const path = key === '' ? root.path : root.pathOf(key, 'tree');
  throwIfAborted(options.signal, { operation: 'tree', key });
  pending.addDirectories(await root.ensureDirectory(key.replace(/\/$/, ''), 'tree'));
  await translated({ operation: 'tree', path, key }, () => chmod(path, options.mode));
}

async function makeLink(
  { root, pending }: TreePlace,
  link: CallOptions & { readonly key: string; readonly target: string },
): Promise<void> {
  const { key, target } = link;
  const path = root.pathOf(key, 'tree');
  throwIfAborted(link.signal, { operation: 'tree', key });
  const parent = root.parentOf(key);
  const changed = await root.ensureDirectory(parent, 'tree');
  try {
    await translated({ operation: 'tree', path, key }, () => symlink(target, path));
  } catch (error) {
    if (errnoOf(error instanceof Error ? error.cause : undefined) !== 'EEXIST') throw error;
    throw new StorageError({
      code: 'STORAGE_ALREADY_EXISTS',
      operation: 'tree',
      message: `${path} exists already`,
      key,
      cause: error,
    });
  }
  root.forget(key);
  pending.addDirectories([...changed, root.directoryPath(parent)]);
}

async function freeBytes(root: FsRoot, { signal }: CallOptions): Promise<number> {
  throwIfAborted(signal, { operation: 'tree' });
  const { existing } = await nearestExisting(root.path);
  const { bavail, bsize } = await translated({ operation: 'tree', path: existing }, () => statfs(existing));
  return bavail * bsize;
}
