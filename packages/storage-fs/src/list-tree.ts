import type { Dirent } from 'node:fs';
import {
  assertValidKey,
  compareKeys,
  type ListOptions,
  type ListPage,
  type ObjectInfo,
  StorageError,
  throwIfAborted,
} from '@neon-snapshot/storage-core';
import { translated } from './errors.ts';
import { forEachLimited, lstat, readdir, readlink } from './fs-calls.ts';
import { type FsRoot, isMissing } from './fs-root.ts';
import { isHiddenName } from './hidden-names.ts';
import { objectInfo } from './object-info.ts';

const PAGE_SIZE_MAX = 1000;
const STAT_CONCURRENCY_MAX = 32;
/** What the UTF-8 decoder puts in place of bytes that are none. */
const REPLACEMENT_CHARACTER = '\ufffd';

/** Something to be listed, its facts not read yet. */
interface Candidate {
  readonly key: string;
  readonly kind: 'object' | 'prefix';
}

interface Walk {
  readonly root: FsRoot;
  readonly prefix: string;
  readonly startAfter: string | undefined;
  readonly folds: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Pages of the tree in byte order of the whole key. A directory's names are sorted as if directories ended in `/`, which
 * makes the order of a walk the order of the keys. Memory holds the names of one directory a level, and one page.
 */
export async function* listTree(root: FsRoot, options: ListOptions): AsyncGenerator<ListPage> {
  const prefix = options.prefix ?? '';
  const { startAfter, signal } = options;
  throwIfAborted(signal, { operation: 'list' });
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (!(await leadsToDirectory(root, start))) return;
  const walk: Walk = { root, prefix, startAfter, folds: options.delimiter !== undefined, signal };
  let batch: Candidate[] = [];
  for await (const candidate of walkDirectory(walk, start)) {
    batch.push(candidate);
    if (batch.length < PAGE_SIZE_MAX) continue;
    yield* readPage(walk, batch);
    throwIfAborted(signal, { operation: 'list' });
    batch = [];
  }
  yield* readPage(walk, batch);
}

/** A link on the way has no keys below it: the link itself is the object. */
async function leadsToDirectory(root: FsRoot, directoryPrefix: string): Promise<boolean> {
  if (directoryPrefix === '') return true;
  try {
    return await root.checkDirectory(directoryPrefix.slice(0, -1), 'list');
  } catch (error) {
    if (error instanceof StorageError && error.code === 'STORAGE_OUTSIDE_ROOT') return false;
    throw error;
  }
}

/** `directory` is a key with its trailing `/`, or `''` for the root. */
async function* walkDirectory(walk: Walk, directory: string): AsyncGenerator<Candidate> {
  throwIfAborted(walk.signal, { operation: 'list' });
  const entries = await readEntries(walk, directory);
  if (entries === undefined) return;
  if (entries.length === 0 && directory !== '' && isListed(walk, directory)) {
    yield { key: directory, kind: 'object' };
  }
  for (const key of entries) {
    if (!key.endsWith('/')) {
      if (isListed(walk, key)) yield { key, kind: 'object' };
    } else if (mayHoldListed(walk, key)) {
      if (!walk.folds || !isBelowPrefix(walk, key)) yield* walkDirectory(walk, key);
      else if (await holdsListed(walk, key)) yield { key, kind: 'prefix' };
    }
  }
}

/** Keys of a directory's entries in order, directories with a trailing `/`; undefined when it is gone. */
async function readEntries(walk: Walk, directory: string): Promise<readonly string[] | undefined> {
  const path = `${walk.root.path}/${directory}`;
  const dirents = await translated({ operation: 'list', path }, async () => {
    try {
      return await readdir(path, { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  });
  if (dirents === undefined) return undefined;
  const keys: string[] = [];
  for (const dirent of dirents) {
    if (isHiddenName(dirent.name)) continue;
    const kind = kindOf(dirent) ?? (await statKind(`${path}${dirent.name}`));
    if (kind === 'special') continue;
    const key = directory + dirent.name;
    assertListable(key, path);
    keys.push(kind === 'directory' ? `${key}/` : key);
  }
  return keys.sort(compareKeys);
}

type EntryKind = 'directory' | 'object' | 'special';

/** Sockets, FIFOs and devices are no objects. Undefined where the file system does not tell without a stat. */
function kindOf(
  entry: Pick<
    Dirent,
    | 'isFile'
    | 'isDirectory'
    | 'isSymbolicLink'
    | 'isSocket'
    | 'isFIFO'
    | 'isBlockDevice'
    | 'isCharacterDevice'
  >,
): EntryKind | undefined {
  if (entry.isFile() || entry.isSymbolicLink()) return 'object';
  if (entry.isDirectory()) return 'directory';
  const special = entry.isSocket() || entry.isFIFO() || entry.isBlockDevice() || entry.isCharacterDevice();
  return special ? 'special' : undefined;
}

async function statKind(path: string): Promise<EntryKind> {
  return translated({ operation: 'list', path }, async () => kindOf(await lstat(path)) ?? 'special');
}

function assertListable(key: string, directoryPath: string): void {
  if (key.includes(REPLACEMENT_CHARACTER)) {
    throw new StorageError({
      code: 'STORAGE_INVALID_KEY',
      operation: 'list',
      message: `the directory ${directoryPath} holds a name that is not UTF-8 (shown as ${JSON.stringify(key)}); rename or remove it`,
      key,
      context: { path: directoryPath },
    });
  }
  assertValidKey(key, { operation: 'list' });
}

function isListed({ prefix, startAfter }: Walk, key: string): boolean {
  return key.startsWith(prefix) && (startAfter === undefined || compareKeys(key, startAfter) > 0);
}

function isBelowPrefix({ prefix }: Walk, directory: string): boolean {
  return directory.length > prefix.length && directory.startsWith(prefix);
}

/** Without looking inside: can any key below the directory match the prefix and come after `startAfter`? */
function mayHoldListed({ prefix, startAfter }: Walk, directory: string): boolean {
  if (!directory.startsWith(prefix) && !prefix.startsWith(directory)) return false;
  if (startAfter === undefined || startAfter.startsWith(directory)) return true;
  return compareKeys(directory, startAfter) > 0;
}

/** A directory holds a key at least (its marker); one that `startAfter` lies in has to be looked into. */
async function holdsListed(walk: Walk, directory: string): Promise<boolean> {
  if (walk.startAfter === undefined || !walk.startAfter.startsWith(directory)) return true;
  for await (const _ of walkDirectory({ ...walk, folds: false }, directory)) return true;
  return false;
}

async function* readPage(walk: Walk, batch: readonly Candidate[]): AsyncGenerator<ListPage> {
  const keys = batch.filter((each) => each.kind === 'object').map((each) => each.key);
  const infos = new Array<ObjectInfo | undefined>(keys.length);
  await forEachLimited(keys, STAT_CONCURRENCY_MAX, async (key, index) => {
    infos[index] = await readInfo(walk.root, key);
  });
  const objects = infos.filter((info) => info !== undefined);
  const prefixes = batch.filter((each) => each.kind === 'prefix').map((each) => each.key);
  if (objects.length + prefixes.length > 0) yield { objects, prefixes };
}

/** Undefined when it was deleted since its name was read. */
async function readInfo(root: FsRoot, key: string): Promise<ObjectInfo | undefined> {
  const path = `${root.path}/${key}`;
  return translated({ operation: 'list', path, key }, async () => {
    try {
      const stats = await lstat(path, { bigint: true });
      return objectInfo(key, stats, stats.isSymbolicLink() ? await readlink(path) : undefined);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  });
}
