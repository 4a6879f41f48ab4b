import { constants } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readlink, statfs, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';

export interface CopyTreeOptions {
  readonly source: string;
  /** Must be absent or empty; its parents are made. */
  readonly target: string;
  /** Paths relative to the source that stay behind, with all that is below them. */
  readonly skip?: ((path: string) => boolean) | undefined;
  /** Links whose target's contents are copied in their place; other links are copied as links. */
  readonly follow?: ((path: string) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const COPIES_IN_FLIGHT_MAX = 4;
/** Left free for what the copy is going to be used for. */
const FREE_SPACE_MARGIN_BYTES = 64 * 1024 * 1024;

interface TreeEntry {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link';
  readonly sizeBytes: number;
  readonly mode: number;
}

/**
 * Copies a directory with modes, sharing blocks where the file system can (reflink). Sockets and pipes stay behind.
 * Throws `POSTGRES_PROCESS_NO_SPACE` before the first byte when the target's file system is too full. Not synced.
 */
export async function copyTree(options: CopyTreeOptions): Promise<void> {
  const { source, target, signal } = options;
  const entries: TreeEntry[] = [];
  await listTree(options, '', entries);
  await mkdir(target, { recursive: true, mode: 0o700 });
  await assertSpace(target, entries);
  for (const { path } of entries.filter(({ kind }) => kind === 'directory'))
    await mkdir(join(target, path), { recursive: true, mode: 0o700 });
  const files = entries.filter(({ kind }) => kind !== 'directory').values();
  const copyNext = async () => {
    for (const entry of files) {
      throwIfAborted(signal, 'copy');
      const [from, to] = [join(source, entry.path), join(target, entry.path)];
      if (entry.kind === 'link') await symlink(await readlink(from), to);
      else await copyFile(from, to, constants.COPYFILE_FICLONE);
    }
  };
  await Promise.all(Array.from({ length: COPIES_IN_FLIGHT_MAX }, copyNext));
  for (const { path, mode } of entries.filter(({ kind }) => kind === 'directory'))
    await chmod(join(target, path), mode & 0o7777);
}

async function listTree(options: CopyTreeOptions, directory: string, found: TreeEntry[]): Promise<void> {
  throwIfAborted(options.signal, 'copy');
  for (const name of await readdir(join(options.source, directory))) {
    const path = directory === '' ? name : `${directory}/${name}`;
    if (options.skip?.(path)) continue;
    const absolute = join(options.source, path);
    let facts = await lstat(absolute);
    if (facts.isSymbolicLink() && options.follow?.(path))
      facts = await lstat(resolve(dirname(absolute), await readlink(absolute)));
    const common = { path, mode: facts.mode };
    if (facts.isDirectory()) {
      found.push({ ...common, kind: 'directory', sizeBytes: 0 });
      await listTree(options, path, found);
    } else if (facts.isSymbolicLink()) found.push({ ...common, kind: 'link', sizeBytes: 0 });
    else if (facts.isFile()) found.push({ ...common, kind: 'file', sizeBytes: facts.blocks * 512 });
  }
}

async function assertSpace(target: string, entries: readonly TreeEntry[]): Promise<void> {
  const neededBytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, FREE_SPACE_MARGIN_BYTES);
  const { bavail, bsize } = await statfs(target);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_NO_SPACE',
    operation: 'copy',
    message: `${target} has ${freeBytes} bytes free, the copy needs ${neededBytes}; choose a directory on another disk`,
    context: { target, freeBytes, neededBytes },
  });
}
