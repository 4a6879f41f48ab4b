import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { openCacheDirectory } from './cache-directory.ts';
import type { NpmPostgres } from './npm-packages.ts';
import { PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';
import { blockedComponent } from './reachable-path.ts';
import type { ServerUser } from './server-user.ts';

interface LibraryLink {
  /** Relative to the package, e.g. `native/lib/libpq.so.5.17`. */
  readonly source: string;
  readonly target: string;
}

export interface UsableBinariesOptions {
  readonly user: ServerUser | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A directory with the package's programs from which they really run: the package's own, or a complete copy in the
 * cache. A copy is needed when the package manager did not run the package's install script (which makes the library
 * links that npm tarballs can't hold), or when the account to run as may not enter the package's directory.
 */
export async function usableBinDirectory(
  npmPackage: NpmPostgres,
  options: UsableBinariesOptions,
): Promise<string> {
  const { packageDirectory } = npmPackage;
  const links = await readLinks(packageDirectory);
  const missing = await missingLinks(packageDirectory, links);
  const reachable =
    options.user === undefined ||
    (await blockedComponent(join(packageDirectory, 'native', 'bin'), options.user)) === undefined;
  if (missing.length === 0 && reachable) return join(packageDirectory, 'native', 'bin');
  return join(await cachedCopy(npmPackage, links, options), 'native', 'bin');
}

async function readLinks(packageDirectory: string): Promise<LibraryLink[]> {
  const path = join(packageDirectory, 'native', 'pg-symlinks.json');
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return [];
  }
  const isPath = (text: unknown): text is string =>
    typeof text === 'string' && /^native\/[\w./+-]+$/.test(text) && !text.split('/').includes('..');
  return (Array.isArray(parsed) ? parsed : []).flatMap((link: Partial<LibraryLink>) =>
    isPath(link?.source) && isPath(link.target) ? [{ source: link.source, target: link.target }] : [],
  );
}

async function missingLinks(root: string, links: readonly LibraryLink[]): Promise<LibraryLink[]> {
  const checked = await Promise.all(
    links.map((link) =>
      lstat(join(root, link.target)).then(
        () => [],
        () => [link],
      ),
    ),
  );
  return checked.flat();
}

/** Copies beside the final name and renames, so that a copy is whole or absent, also with several of us at once. */
async function cachedCopy(
  npmPackage: NpmPostgres,
  links: readonly LibraryLink[],
  options: UsableBinariesOptions,
): Promise<string> {
  const files = await listFiles(npmPackage.packageDirectory, 'native');
  const cache = await openCacheDirectory({ user: options.user, directory: options.cacheDirectory });
  const target = join(cache, `postgres-${npmPackage.packageVersion}-${contentKey(files, links)}`);
  if (await exists(target)) return target;
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    await mkdir(temporary, { mode: 0o755 });
    await copyFiles({ files, links, source: npmPackage.packageDirectory, target: temporary, options });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another process was faster: its copy is the same.
    if (await exists(target)) return target;
    throwIfAborted(options.signal, 'copy Postgres');
    throw new PostgresProcessError({
      code: 'POSTGRES_PROCESS_IO',
      operation: 'copy Postgres',
      message: `could not copy ${npmPackage.packageDirectory} to ${target}: ${error instanceof Error ? error.message : error}`,
      context: { source: npmPackage.packageDirectory, target },
      cause: error,
    });
  }
  return target;
}

interface PackageFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly executable: boolean;
}

/** Published packages never change under one version; names and sizes tell a damaged install from a whole one. */
function contentKey(files: readonly PackageFile[], links: readonly LibraryLink[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file.path}\0${file.sizeBytes}\0${file.executable}\n`);
  for (const link of links) hash.update(`${link.target}\0${link.source}\n`);
  return hash.digest('hex').slice(0, 16);
}

async function listFiles(root: string, directory: string): Promise<PackageFile[]> {
  const found: PackageFile[] = [];
  const names = (await readdir(join(root, directory))).sort();
  for (const name of names) {
    const path = join(directory, name);
    const facts = await lstat(join(root, path));
    if (facts.isDirectory()) found.push(...(await listFiles(root, path)));
    else if (facts.isFile())
      found.push({ path, sizeBytes: facts.size, executable: (facts.mode & 0o100) !== 0 });
  }
  return found;
}

async function copyFiles(copy: {
  readonly files: readonly PackageFile[];
  readonly links: readonly LibraryLink[];
  readonly source: string;
  readonly target: string;
  readonly options: UsableBinariesOptions;
}): Promise<void> {
  for (const directory of new Set(copy.files.map((file) => dirname(file.path))))
    await makeReadableDirectory(copy.target, directory);
  for (const file of copy.files) {
    throwIfAborted(copy.options.signal, 'copy Postgres');
    const target = join(copy.target, file.path);
    await copyFile(join(copy.source, file.path), target, constants.COPYFILE_FICLONE);
    await chmod(target, file.executable ? 0o755 : 0o644);
  }
  for (const link of copy.links)
    await symlink(relative(dirname(link.target), link.source), join(copy.target, link.target)).catch(
      ignoreExisting,
    );
}

/** Modes are set by chmod: a umask of 077 must not hide the copy from the account that runs it. */
async function makeReadableDirectory(root: string, directory: string): Promise<void> {
  let current = root;
  for (const part of ['', ...directory.split('/')]) {
    current = join(current, part);
    await mkdir(current).catch(ignoreExisting);
    await chmod(current, 0o755);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
