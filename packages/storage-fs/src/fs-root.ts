import { dirname, join, sep } from 'node:path';
import { assertValidKey, StorageError, type StorageOperation } from '@neon-snapshot/storage-core';
import { nameTakenError, outsideRootError, translated } from './errors.ts';
import { errnoOf, lstat, mkdir, realpath } from './fs-calls.ts';
import { hasHiddenSegment } from './hidden-names.ts';

const PATH_MAX_BYTES = 4095;
const NAME_MAX_BYTES = 255;
/** Room for a temporary name beside the longest key. */
const TEMPORARY_NAME_MAX_BYTES = 64;
const CHECKED_DIRECTORIES_MAX = 10_000;
/** How long a directory that was found to be no link is taken to still be none. */
const CHECK_VALID_MS = 1000;

/** The directory that a storage lives in, and the only place where keys become paths. */
export class FsRoot {
  /** Absolute, with every link in it resolved when the storage was opened; the directory may not exist yet. */
  readonly path: string;
  readonly directoryMode: number;
  readonly keyLengthMaxBytes: number;
  /** Directory keys without trailing `/` → monotonic time of the last check. */
  readonly #checked = new Map<string, number>();

  private constructor(path: string, directoryMode: number) {
    this.path = path;
    this.directoryMode = directoryMode;
    this.keyLengthMaxBytes = Math.max(0, PATH_MAX_BYTES - Buffer.byteLength(path) - TEMPORARY_NAME_MAX_BYTES);
  }

  /** The root itself may be a link. Without `create` it must exist; with it, it is made by the first write. */
  static async open(options: {
    readonly rootPath: string;
    readonly create: boolean;
    readonly directoryMode: number;
  }): Promise<FsRoot> {
    const { rootPath, create, directoryMode } = options;
    const { existing, missing } = await nearestExisting(rootPath);
    if (missing !== '' && !create) throw missingRoot(rootPath);
    const stats = await translated({ operation: 'open', path: existing }, () => lstat(existing));
    if (!stats.isDirectory()) {
      throw new StorageError({
        code: 'STORAGE_BUCKET_NOT_FOUND',
        operation: 'open',
        message: `${existing} is not a directory, so ${rootPath} cannot be a storage`,
        context: { path: existing },
      });
    }
    return new FsRoot(join(existing, missing), directoryMode);
  }

  /** The path of a key that has been found valid, also for this file system's own rules. */
  pathOf(key: string, operation: StorageOperation): string {
    assertValidKey(key, { operation, keyLengthMaxBytes: this.keyLengthMaxBytes });
    if (key.length > NAME_MAX_BYTES / 3) assertNameLengths(key, operation);
    if (hasHiddenSegment(key))
      throw invalidName(key, operation, 'names that start with ".neon-tmp-" are its own');
    if (sep === '\\' && /[\\:]/.test(key))
      throw invalidName(key, operation, '"\\" and ":" are not allowed on Windows');
    return `${this.path}/${key}`;
  }

  /** The directory that holds the key, without trailing `/`; `''` is the root. */
  parentOf(key: string): string {
    const slash = key.lastIndexOf('/', key.length - 2);
    return slash < 0 ? '' : key.slice(0, slash);
  }

  directoryPath(directoryKey: string): string {
    return directoryKey === '' ? this.path : `${this.path}/${directoryKey}`;
  }

  /**
   * True when every component of the directory is a real directory, false when it is missing or a file.
   * A link anywhere below the root is `STORAGE_OUTSIDE_ROOT`.
   */
  async checkDirectory(directoryKey: string, operation: StorageOperation): Promise<boolean> {
    if (directoryKey === '' || this.#isChecked(directoryKey)) return true;
    if (!(await this.checkDirectory(this.parentOf(directoryKey), operation))) return false;
    const path = this.directoryPath(directoryKey);
    const kind = await this.#kindOf(path, operation);
    if (kind === 'link') throw outsideRootError({ operation, path });
    if (kind === 'directory') this.#remember(directoryKey);
    return kind === 'directory';
  }

  /**
   * Makes the directory and its missing parents. Gives the paths of directories that got a new entry, for fsync.
   * A file in the way is `STORAGE_INVALID_KEY`, a link `STORAGE_OUTSIDE_ROOT`.
   */
  async ensureDirectory(directoryKey: string, operation: StorageOperation): Promise<readonly string[]> {
    if (this.#isChecked(directoryKey)) return [];
    const path = this.directoryPath(directoryKey);
    if (directoryKey === '') return this.#ensureRoot(operation);
    const changed = await this.ensureDirectory(this.parentOf(directoryKey), operation);
    const made = await translated({ operation, path }, () => makeUnlessThere(path, this.directoryMode));
    if (!made) {
      const kind = await this.#kindOf(path, operation);
      if (kind === 'link') throw outsideRootError({ operation, path });
      if (kind === 'other') throw nameTakenError({ operation, path, by: 'file' });
    }
    this.#remember(directoryKey);
    return made ? [...changed, dirname(path)] : changed;
  }

  /** After a directory went away or something was put in its place. */
  forget(directoryKey: string): void {
    for (const each of this.#checked.keys()) {
      if (directoryKey === '' || each === directoryKey || each.startsWith(`${directoryKey}/`)) {
        this.#checked.delete(each);
      }
    }
  }

  async #ensureRoot(operation: StorageOperation): Promise<readonly string[]> {
    const first = await translated({ operation, path: this.path }, () =>
      makeWithParents(this.path, this.directoryMode),
    );
    this.#remember('');
    const changed: string[] = [];
    if (first === undefined) return changed;
    for (let path = this.path; path.length >= first.length; path = dirname(path)) changed.push(dirname(path));
    return changed;
  }

  async #kindOf(
    path: string,
    operation: StorageOperation,
  ): Promise<'directory' | 'link' | 'other' | 'missing'> {
    return translated({ operation, path }, async () => {
      try {
        const stats = await lstat(path);
        if (stats.isDirectory()) return 'directory';
        return stats.isSymbolicLink() ? 'link' : 'other';
      } catch (error) {
        if (isMissing(error)) return 'missing';
        throw error;
      }
    });
  }

  #isChecked(directoryKey: string): boolean {
    const checkedAt = this.#checked.get(directoryKey);
    return checkedAt !== undefined && performance.now() - checkedAt < CHECK_VALID_MS;
  }

  #remember(directoryKey: string): void {
    if (this.#checked.size >= CHECKED_DIRECTORIES_MAX) this.#checked.clear();
    this.#checked.set(directoryKey, performance.now());
  }
}

/** True for the errors by which a path says that nothing is there. */
export function isMissing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}

/** The real path of the nearest ancestor that exists, and the rest. */
export async function nearestExisting(
  path: string,
): Promise<{ readonly existing: string; readonly missing: string }> {
  const missing: string[] = [];
  for (let each = path; ; each = dirname(each)) {
    try {
      return { existing: await realpath(each), missing: missing.join(sep) };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || each === dirname(each)) {
        throw await translated({ operation: 'open', path: each }, () => Promise.reject(error));
      }
      missing.unshift(each.slice(dirname(each).length).replace(/^[/\\]/, ''));
    }
  }
}

/** Makes a directory with its parents; the topmost one that was made, undefined when all are there. */
async function makeWithParents(path: string, mode: number): Promise<string | undefined> {
  // Step by step: Node's recursive mkdir says "does not exist" for a read-only file system, and never ends in /proc.
  const { existing, missing } = await nearestExisting(path);
  const names = missing.split(sep).filter((name) => name !== '');
  let first: string | undefined;
  let each = existing;
  for (const name of names) {
    each = join(each, name);
    await makeUnlessThere(each, mode);
    first ??= each;
  }
  return first;
}

async function makeUnlessThere(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

function missingRoot(rootPath: string): StorageError {
  return new StorageError({
    code: 'STORAGE_BUCKET_NOT_FOUND',
    operation: 'open',
    message: `the directory ${rootPath} does not exist`,
    context: { path: rootPath },
  });
}

function assertNameLengths(key: string, operation: StorageOperation): void {
  for (const name of key.split('/')) {
    const lengthBytes = Buffer.byteLength(name);
    if (lengthBytes <= NAME_MAX_BYTES) continue;
    throw invalidName(
      key,
      operation,
      `a name of ${lengthBytes} bytes is longer than the ${NAME_MAX_BYTES} of a file system`,
    );
  }
}

function invalidName(key: string, operation: StorageOperation, reason: string): StorageError {
  return new StorageError({
    code: 'STORAGE_INVALID_KEY',
    operation,
    message: `${JSON.stringify(key)} cannot be a key of a file storage: ${reason}`,
    key,
  });
}
