import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const TEMPORARY_SUFFIX = '.tmp';

/** A file that an earlier process left. */
export interface FoundFile {
  readonly key: string;
  readonly sizeBytes: number;
  readonly usedAtMs: number;
}

/**
 * Files by object key below one directory. A file is there whole or not at all, also after a crash of the machine: it is synced
 * before it gets its name. Errors are those of `node:fs`.
 */
export class CachedFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  pathOf(key: string): string {
    return join(this.#directory, key);
  }

  /** What is there, the longest unused first. Removes what a crash left behind. */
  async scan(): Promise<readonly FoundFile[]> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const found: FoundFile[] = [];
    for (const entry of await readdir(this.#directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      if (entry.name.endsWith(TEMPORARY_SUFFIX)) {
        await rm(path, { force: true });
        continue;
      }
      const { size, atimeMs, mtimeMs } = await stat(path);
      const key = path.slice(this.#directory.length + 1);
      found.push({ key, sizeBytes: size, usedAtMs: Math.max(atimeMs, mtimeMs) });
    }
    return found.sort((a, b) => a.usedAtMs - b.usedAtMs);
  }

  /** Stores a file, replacing one of its name; gives its size. */
  async write(key: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number> {
    const path = this.pathOf(key);
    const temporary = `${path}.${randomBytes(6).toString('hex')}${TEMPORARY_SUFFIX}`;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    try {
      const sizeBytes = await writeSynced(temporary, chunks);
      await rename(temporary, path);
      return sizeBytes;
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Removes a file; one that is not there is no error. Readers that have it open go on. */
  async remove(key: string): Promise<void> {
    await unlink(this.pathOf(key)).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    });
  }
}

/** Small pieces are gathered: a delta layer has one for each value. */
const GATHERED_BYTES = 1024 * 1024;

async function writeSynced(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  const file = await open(path, 'wx', 0o600);
  try {
    let sizeBytes = 0;
    let pending: Uint8Array[] = [];
    let pendingBytes = 0;
    const flush = async () => {
      await file.writev(pending);
      sizeBytes += pendingBytes;
      [pending, pendingBytes] = [[], 0];
    };
    for await (const chunk of chunks) {
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes >= GATHERED_BYTES || pending.length >= 1000) await flush();
    }
    if (pendingBytes > 0) await flush();
    await file.sync();
    return sizeBytes;
  } finally {
    await file.close();
  }
}
