import { execFile } from 'node:child_process';
import { release } from 'node:os';
import { promisify } from 'node:util';

const execute = promisify(execFile);
/** Since this version the kernel reports lost writes of any file to syncfs. */
const KERNEL_MIN = [5, 8] as const;

/**
 * Makes a whole file system durable in one call (syncfs, through `sync -f`, since Node has none). False where that is not
 * to be had or failed: then every file must be synced by itself.
 */
export async function syncFileSystem(path: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (process.platform !== 'linux' || !isKernelAtLeast(release())) return false;
  try {
    await execute('sync', ['-f', path], signal === undefined ? {} : { signal });
    return true;
  } catch {
    return false;
  }
}

function isKernelAtLeast(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1]);
}
