// Packs workspace packages as the registry would get them.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export const SCOPE = '@neon-snapshot/';

const root = path.resolve(import.meta.dirname, '..');

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Packs `packages/<folder>`, which has to be built, and gives the absolute path of the tarball. */
export function packPackage(folder: string, destination: string): string {
  const args = ['--yes', packageManager(), 'pack', '--json', '--pack-destination', destination];
  const out = execFileSync('npx', args, {
    cwd: path.join(root, 'packages', folder),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { filename } = JSON.parse(out) as { readonly filename: string };
  return path.isAbsolute(filename) ? filename : path.join(destination, filename);
}

/** Packs packages with everything of ours that they depend on. Tarballs by package name. */
export function packWithDependencies(folders: readonly string[], destination: string): Map<string, string> {
  const tarballs = new Map<string, string>();
  const open = [...folders];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const name = `${SCOPE}${folder}`;
    if (tarballs.has(name)) continue;
    tarballs.set(name, packPackage(folder, destination));
    open.push(...ownDependencies(folder));
  }
  return tarballs;
}

function ownDependencies(folder: string): string[] {
  const file = path.join(root, 'packages', folder, 'package.json');
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  return Object.keys({ ...dependencies, ...optionalDependencies })
    .filter((name) => name.startsWith(SCOPE))
    .map((name) => name.slice(SCOPE.length));
}

function packageManager(): string {
  const manifest = readFileSync(path.join(root, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { readonly packageManager: string }).packageManager;
}
