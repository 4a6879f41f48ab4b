import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Mounting needs Linux, root, and in a container the capability: tried once. */
export const canMount: boolean = tryMount();
/** Stands in the name of a skipped suite. */
export const MOUNT_NOTE: string = canMount ? '' : ' [skipped: a small file system can not be mounted here]';

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  makeReadOnly(): Promise<void>;
}

/** A file system in memory with so much room. */
export async function mountSmallDisk(path: string, sizeBytes: number): Promise<SmallDisk> {
  await mkdir(path, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=755`, 'tmpfs', path]);
  return {
    path,
    makeReadOnly: async () => void (await run('mount', ['-o', 'remount,ro', path])),
    [Symbol.asyncDispose]: async () => void (await run('umount', [path])),
  };
}

function tryMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const directory = mkdtempSync(join(tmpdir(), 'neon-mount-'));
  try {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', directory]).status !== 0) return false;
    return spawnSync('umount', [directory]).status === 0;
  } finally {
    rmdirSync(directory);
  }
}
