import { join, resolve } from 'node:path';

/** Where the parts of a repository live; all absolute. Only `directory` is sure to exist. */
export interface RepositoryPaths {
  /** The user's directory, which holds `.neon`. */
  readonly directory: string;
  /** `.neon`. */
  readonly root: string;
  readonly configFile: string;
  /** Names the process that owns the repository. */
  readonly lockFile: string;
  /** Layers fetched by the page server; may be removed at any time while nothing runs. */
  readonly cacheDirectory: string;
  /** What is known of the page server that runs, while it runs. */
  readonly pageServerFile: string;
  /** One directory per endpoint. */
  readonly endpointsDirectory: string;
  readonly logsDirectory: string;
}

const ROOT_NAME = '.neon';

export interface RepositoryDirectoryOptions {
  /** Value of `-D`. */
  readonly option?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly currentDirectory: string;
}

/** The directory that holds `.neon`: `-D`, else `NEON_REPO_DIR`, else the current directory. Absolute. */
export function repositoryDirectory(options: RepositoryDirectoryOptions): string {
  return resolve(options.currentDirectory, options.option ?? (options.env.NEON_REPO_DIR || '.'));
}

export function repositoryPaths(directory: string): RepositoryPaths {
  const absolute = resolve(directory);
  const root = join(absolute, ROOT_NAME);
  return {
    directory: absolute,
    root,
    configFile: join(root, 'config.toml'),
    lockFile: join(root, 'lock'),
    cacheDirectory: join(root, 'cache'),
    pageServerFile: join(root, 'pageserver.json'),
    endpointsDirectory: join(root, 'endpoints'),
    logsDirectory: join(root, 'logs'),
  };
}
