import { open, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchiveError, throwIfAborted } from './archive-error.ts';
import type { TarMember } from './tar-entry.ts';

const CHUNK_SIZE_BYTES = 1024 * 1024;

/**
 * The contents of a local directory as members for `writeTar`, in the order of Neon's `initdb.tar.zst`: depth first, names
 * sorted by bytes, a directory before what is in it; modes and times left to `writeTar`'s fixed ones. Sockets and pipes are left out.
 */
export async function* directoryMembers(
  directory: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<TarMember, void, void> {
  yield* membersBelow(directory, '', options.signal);
}

async function* membersBelow(
  root: string,
  parent: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<TarMember, void, void> {
  const entries = await readdir(join(root, parent), { withFileTypes: true });
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const entry of entries) {
    throwIfAborted(signal, 'read directory');
    const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
    const absolute = join(root, path);
    if (entry.isDirectory()) {
      yield { kind: 'directory', path };
      yield* membersBelow(root, path, signal);
    } else if (entry.isSymbolicLink()) yield { kind: 'link', path, linkTarget: await readlink(absolute) };
    else if (entry.isFile()) {
      const { size } = await stat(absolute);
      yield { kind: 'file', path, sizeBytes: size, body: fileBody(absolute, size) };
    }
  }
}

/** Chunks of their own memory, since a tar writer hands them on. */
async function* fileBody(path: string, sizeBytes: number): AsyncGenerator<Uint8Array, void, void> {
  if (sizeBytes === 0) return;
  await using file = await open(path, 'r');
  for (let position = 0; position < sizeBytes; ) {
    const length = Math.min(CHUNK_SIZE_BYTES, sizeBytes - position);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, position);
    if (bytesRead === 0)
      throw new ArchiveError({
        code: 'ARCHIVE_SIZE_MISMATCH',
        operation: 'read directory',
        message: `${path} shrank from ${sizeBytes} to ${position} bytes while it was read`,
        context: { path, expected: sizeBytes, found: position },
      });
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
