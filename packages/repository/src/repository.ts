import { rmdir, stat } from 'node:fs/promises';
import { writeFileAtomic } from './atomic-file.ts';
import { readConfig, writeConfig } from './config-file.ts';
import type { RepositoryConfig, RepositoryConfigInput } from './config-schema.ts';
import { makeDirectories } from './make-directories.ts';
import { hasErrno, ioError, RepositoryError } from './repository-error.ts';
import { acquireLock, type RepositoryLock } from './repository-lock.ts';
import { type RepositoryPaths, repositoryPaths } from './repository-paths.ts';

/** An existing repository. Nothing is held open. */
export interface Repository {
  readonly paths: RepositoryPaths;
  readonly config: RepositoryConfig;
  /** Makes this process its one owner, for commands that change local state. */
  lock(options: { readonly command: string }): Promise<RepositoryLock>;
}

/** Opens the repository in a directory. Throws `REPOSITORY_NOT_FOUND` or `REPOSITORY_CONFIG_INVALID`. */
export async function openRepository(options: { readonly directory: string }): Promise<Repository> {
  const config = await readConfig(options.directory);
  return repositoryOf(repositoryPaths(options.directory), config);
}

/** Throws `REPOSITORY_EXISTS` when the directory has a configuration; to be asked before long work. */
export async function assertNoRepository(directory: string): Promise<void> {
  const { configFile } = repositoryPaths(directory);
  const exists = await stat(configFile).then(
    () => true,
    (error: unknown) => {
      if (hasErrno(error, 'ENOENT')) return false;
      throw ioError(error, { operation: 'init', path: configFile });
    },
  );
  if (exists) throw existsError(directory);
}

/**
 * Makes a repository. The configuration is written last and never over another one, so a repository exists whole or not at all,
 * also when two start at once. Throws `REPOSITORY_EXISTS`, `REPOSITORY_CONFIG_INVALID`.
 */
export async function initRepository(options: {
  readonly directory: string;
  readonly config: RepositoryConfigInput;
}): Promise<Repository> {
  const paths = repositoryPaths(options.directory);
  await assertNoRepository(paths.directory);
  let created: string | undefined;
  try {
    created = await makeDirectories(paths.root);
    const config = await writeConfig(paths.directory, options.config, { exclusive: true });
    // Local state belongs to this machine, not to the project around it.
    await writeFileAtomic({ path: `${paths.root}/.gitignore`, text: '*\n' });
    return repositoryOf(paths, config);
  } catch (error) {
    if (created !== undefined) await rmdir(paths.root).catch(() => undefined);
    if (hasErrno(error, 'EEXIST')) throw existsError(paths.directory);
    throw ioError(error, { operation: 'init', path: paths.root });
  }
}

function repositoryOf(paths: RepositoryPaths, config: RepositoryConfig): Repository {
  return { paths, config, lock: (options) => acquireLock(paths.lockFile, options) };
}

function existsError(directory: string): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_EXISTS',
    operation: 'init',
    message: `${directory} already holds a repository (.neon/config.toml); choose another directory with -D`,
    context: { directory },
  });
}
