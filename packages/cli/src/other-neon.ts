import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';

/**
 * The first other program named `neon` on the PATH that comes from another npm package (`neonctl` installs one), so
 * that help can name it. Undefined where there is none.
 */
export async function findOtherNeon(
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  for (const directory of (env.PATH ?? '').split(path.delimiter)) {
    if (directory === '') continue;
    const candidate = path.join(directory, 'neon');
    const target = await realpath(candidate).catch(() => undefined);
    if (target !== undefined && !(await isOurs(target))) return candidate;
  }
  return undefined;
}

async function isOurs(target: string): Promise<boolean> {
  const start = await readFile(target, 'utf8').catch(() => '');
  // A shim of a package manager names the file that it starts.
  return start.includes('neon.cjs') || path.basename(target) === 'neon.cjs';
}
