import { randomUUID } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WriteFileAtomicOptions {
  readonly path: string;
  readonly text: string;
  /** Fails with `EEXIST` where the file exists; otherwise it is replaced. */
  readonly exclusive?: boolean;
  /** Default 0644. */
  readonly mode?: number;
}

/** Writes a file whole or not at all, durably: temporary name, fsync, rename (or link), fsync of the directory. */
export async function writeFileAtomic(options: WriteFileAtomicOptions): Promise<void> {
  const { path, text } = options;
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    {
      await using file = await open(temporary, 'wx', options.mode ?? 0o644);
      await file.writeFile(text);
      await file.sync();
    }
    // A link fails where the name is taken, a rename does not.
    if (options.exclusive) await link(temporary, path);
    else await rename(temporary, path);
    await using directory = await open(dirname(path), 'r');
    await directory.sync();
  } finally {
    await rm(temporary, { force: true });
  }
}
