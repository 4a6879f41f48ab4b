import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeOwnedDirectory, makeRuntimeDirectory, unprivilegedUser } from '@neon-snapshot/postgres-process';
import type { EndpointPaths } from './endpoint-paths.ts';

/** `sizeof(sun_path)` without its end, on macOS; Linux has four more. */
const SOCKET_PATH_BYTES_MAX = 103;
const LONGEST_NAME = '.s.PGSQL.65535.lock';

/**
 * A private directory for the server's socket: in the endpoint's own where its path is short enough, else the one used before or a
 * fresh one in the temporary directory.
 */
export async function makeSocketDirectory(paths: EndpointPaths, before: string | undefined): Promise<string> {
  const user = unprivilegedUser();
  const own = join(paths.directory, 'run');
  if (Buffer.byteLength(join(own, LONGEST_NAME)) <= SOCKET_PATH_BYTES_MAX) {
    await makeOwnedDirectory(own, user);
    return own;
  }
  if (before !== undefined && before !== own && (await isPrivate(before, user?.uid ?? process.getuid?.())))
    return before;
  return makeRuntimeDirectory(user);
}

/** Of the temporary directory anybody could have made it meanwhile. */
async function isPrivate(directory: string, uid: number | undefined): Promise<boolean> {
  return lstat(directory).then(
    (facts) => facts.isDirectory() && facts.uid === uid && (facts.mode & 0o077) === 0,
    () => false,
  );
}
