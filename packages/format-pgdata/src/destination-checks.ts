import { FormatError, isInitFork, type WriteContext } from '@neon-snapshot/format-core';
import { tablespaceVersionDirectory } from '@neon-snapshot/postgres';
import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { Destination, type DestinationTablespace } from './destination.ts';
import { mapTablespaces } from './tablespace-mapping.ts';

/** Directories, the manifest and what file systems round up. */
const FILE_OVERHEAD_BYTES = 4096;

/**
 * Checks that a data directory can be written: the destination and the tablespace directories are empty and have the room.
 * Writes nothing. `FORMAT_NOT_EMPTY`, `FORMAT_NO_SPACE`, `FORMAT_OPTION`.
 */
export async function openDestination(context: WriteContext): Promise<Destination> {
  const { storage, signal } = context;
  await assertEmpty(storage, { signal, hint: 'give an empty or a new directory' });
  const tablespaces: DestinationTablespace[] = [];
  try {
    for (const { oid, linkTarget } of mapTablespaces(context)) {
      if (linkTarget === undefined) {
        tablespaces.push({ oid });
        continue;
      }
      const linked = await context.services.openStorage(linkTarget, { access: 'write' });
      tablespaces.push({ oid, link: { target: linkTarget, storage: linked } });
      await assertEmpty(linked, {
        signal,
        prefix: `${tablespaceVersionDirectory(context.source.info.postgresMajor)}/`,
        hint: 'send the tablespace elsewhere with --tablespace_mapping=OLD=NEW',
      });
    }
    const destination = new Destination(storage, tablespaces);
    await assertRoom(context, destination);
    return destination;
  } catch (error) {
    for (const { link } of tablespaces) await link?.storage[Symbol.asyncDispose]();
    throw error;
  }
}

async function assertEmpty(
  storage: Storage,
  options: { readonly prefix?: string; readonly hint: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const found = await firstEntry(storage, options);
  if (found === undefined) return;
  throw new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'check destination',
    message: `${storage.url} is not empty: it has ${found}; ${options.hint}`,
    context: { found },
  });
}

async function firstEntry(
  storage: Storage,
  options: { readonly prefix?: string; readonly signal: AbortSignal | undefined },
): Promise<string | undefined> {
  const { prefix = '', signal } = options;
  try {
    for await (const { objects, prefixes } of storage.list({ prefix, delimiter: '/', signal })) {
      const found = objects[0]?.key ?? prefixes[0];
      if (found !== undefined) return found;
    }
  } catch (error) {
    if (!isStorageError(error, 'STORAGE_NOT_FOUND')) throw error;
  }
  return undefined;
}

async function assertRoom(context: WriteContext, destination: Destination): Promise<void> {
  const needed = new Map<Storage, number>();
  const add = (storage: Storage, bytes: number) => needed.set(storage, (needed.get(storage) ?? 0) + bytes);
  const { plan, info } = context.source;
  if (plan === undefined) add(context.storage, info.bytesTotal ?? 0);
  for (const { path, sizeBytes } of plan ?? []) {
    const copies = isInitFork(path) ? 2 : 1;
    add(destination.placeOf(path).storage, copies * (sizeBytes + FILE_OVERHEAD_BYTES));
  }
  for (const [storage, bytes] of needed) {
    const free = await storage.fileTree?.freeBytes({ signal: context.signal });
    if (free === undefined || free >= bytes) continue;
    throw new FormatError({
      code: 'FORMAT_NO_SPACE',
      operation: 'check destination',
      message: `${storage.url} has ${mebibytes(free)} free; the snapshot needs about ${mebibytes(bytes)}; make room, or name a place that has it`,
      context: { free, needed: bytes },
    });
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
