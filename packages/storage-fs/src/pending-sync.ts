import { closeSync } from 'node:fs';
import { throwIfAborted } from '@neon-snapshot/storage-core';
import { translated } from './errors.ts';
import { errnoOf, forEachLimited, fsync, open, READ_FLAGS } from './fs-calls.ts';
import { isMissing } from './fs-root.ts';

/** Beyond this many files a put syncs at once, so that the list of the pending ones stays small. */
const PENDING_FILES_MAX = 65_536;
const SYNC_CONCURRENCY_MAX = 8;

/** Files and directories that were changed and are not known to be on disk. */
export class PendingSync {
  #files = new Set<string>();
  #directories = new Set<string>();
  #failure: unknown;

  get hasRoom(): boolean {
    return this.#files.size < PENDING_FILES_MAX;
  }

  addFile(path: string): void {
    this.#files.add(path);
  }

  addDirectories(paths: Iterable<string>): void {
    for (const path of paths) this.#directories.add(path);
  }

  /**
   * Files first, then the directories that name them. After a failure every later call fails too: the kernel reports
   * lost writes once, so a second fsync that succeeds proves nothing.
   */
  async sync(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal, { operation: 'tree' });
    if (this.#failure !== undefined) throw this.#failure;
    const files = this.#files;
    const directories = this.#directories;
    this.#files = new Set();
    this.#directories = new Set();
    try {
      for (const paths of [files, directories]) {
        await forEachLimited([...paths], SYNC_CONCURRENCY_MAX, async (path) => {
          throwIfAborted(signal, { operation: 'tree' });
          await syncPath(path);
          paths.delete(path);
        });
      }
    } catch (error) {
      if (signal?.aborted !== true) this.#failure = error;
      for (const path of files) this.#files.add(path);
      for (const path of directories) this.#directories.add(path);
      throw error;
    }
  }
}

/** Makes one file or directory durable; one that is gone needs nothing. */
export async function syncPath(path: string): Promise<void> {
  await translated({ operation: 'tree', path }, async () => {
    let descriptor: number;
    try {
      descriptor = await open(path, READ_FLAGS);
    } catch (error) {
      if (isMissing(error)) return;
      throw error;
    }
    try {
      await fsync(descriptor);
    } catch (error) {
      // Some file systems cannot sync a directory and say so with EINVAL; Postgres takes that for done as well.
      if (errnoOf(error) !== 'EINVAL') throw error;
    } finally {
      closeSync(descriptor);
    }
  });
}
