import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasErrno } from './repository-error.ts';

/**
 * Makes a directory and its missing parents; the topmost one that was made, undefined where all are there. Throws what `mkdir` of one of
 * them throws. Node's own recursive `mkdir` never ends where a directory that is there says "no such file" to a new one, as /proc does.
 */
export async function makeDirectories(path: string): Promise<string | undefined> {
  const made = await makeOne(path);
  if (made !== 'no parent') return made === 'made' ? path : undefined;
  const topmost = await makeDirectories(dirname(path));
  // Somebody else may have made the parent, or this one, meanwhile; one that still cannot be made never can.
  const second = await makeOne(path);
  if (second === 'no parent') await mkdir(path);
  return topmost ?? (second === 'made' ? path : undefined);
}

async function makeOne(path: string): Promise<'made' | 'there' | 'no parent'> {
  try {
    await mkdir(path);
    return 'made';
  } catch (error) {
    if (hasErrno(error, 'EEXIST') && (await isDirectory(path))) return 'there';
    if (hasErrno(error, 'ENOENT') && dirname(path) !== path) return 'no parent';
    throw error;
  }
}

function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
