// Starts a package of a new format or storage, outside of this workspace, from one that passes the conformance kit:
//   npm run new:format -- NAME [DIRECTORY]      default DIRECTORY: ./neon-format-NAME
//   npm run new:storage -- SCHEME [DIRECTORY]   default DIRECTORY: ./neon-storage-SCHEME
//   --packed DIRECTORY                          depend on tarballs of this checkout, put there, in place of published versions
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { packWithDependencies, SCOPE } from './pack.ts';

type Kind = 'format' | 'storage';

interface Manifest {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const root = path.resolve(import.meta.dirname, '..');
const NAME = /^[a-z][a-z0-9]{1,30}$/;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { packed: { type: 'string' } },
});
const [kind, name, directory] = positionals;
if ((kind !== 'format' && kind !== 'storage') || name === undefined)
  fail('say npm run new:format -- NAME [DIRECTORY], or npm run new:storage -- SCHEME [DIRECTORY]');
if (!NAME.test(name)) fail(`${name} is no name: lower-case letters and digits, 2 to 31, a letter first`);
const from = process.env.INIT_CWD ?? process.cwd();
const target = path.resolve(from, directory ?? `neon-${kind}-${name}`);
if (existsSync(target)) fail(`${target} exists; name another directory`);
create(kind, name, target);
console.log(`${target}\nnext: cd ${path.relative(from, target)} && npm install && npm test`);

function create(kind: Kind, name: string, target: string): void {
  const template = path.join(root, 'packages', `template-${kind}`);
  mkdirSync(path.join(target, 'src'), { recursive: true });
  for (const file of readdirSync(path.join(template, 'src'))) {
    const text = readFileSync(path.join(template, 'src', file), 'utf8');
    const renamed = file.replace(/^template-/, `${name}-`);
    writeFileSync(path.join(target, 'src', renamed), rename(text, name));
  }
  const readme = readFileSync(path.join(template, 'README.md'), 'utf8');
  writeFileSync(path.join(target, 'README.md'), rename(readme, name));
  writeJson(path.join(target, 'package.json'), manifestOf(kind, name, template));
  writeJson(path.join(target, 'tsconfig.json'), compilerOptions());
  writeFileSync(path.join(target, '.gitignore'), 'node_modules\ndist\n');
}

/** The template is named by what has to be replaced: `template`, `TemplateStorage`, `neon-format-template`. */
function rename(text: string, name: string): string {
  const capitalised = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return text
    .replaceAll('Template', capitalised)
    .replaceAll(/\btemplate-storage\b/g, `${name}-storage`)
    .replaceAll(/(neon-(?:format|storage)-)template\b/g, `$1${name}`)
    .replaceAll(/'template'|`template`|\btemplate:\/\/|=template\b/g, (found) =>
      found.replace('template', name),
    )
    .replaceAll(/\bthe (format|storage) template\b/g, `the $1 ${name}`);
}

function manifestOf(kind: Kind, name: string, template: string): unknown {
  const own = readManifest(path.join(template, 'package.json'));
  const workspace = readManifest(path.join(root, 'package.json'));
  const tools = ['typescript', 'vitest', '@types/node'].map((tool) => [
    tool,
    workspace.devDependencies?.[tool] ?? '*',
  ]);
  const version = versionsOf([own.dependencies, own.devDependencies]);
  return {
    name: `neon-${kind}-${name}`,
    version: '0.1.0',
    description: `neon ${kind} ${name}`,
    type: 'module',
    engines: { node: '>=22.15.0' },
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    files: ['dist', '!dist/**/*.test.*'],
    scripts: { build: 'tsc -p tsconfig.json', test: 'vitest run --dir src', prepack: 'npm run build' },
    dependencies: mapNames(own.dependencies, version),
    devDependencies: { ...mapNames(own.devDependencies, version), ...Object.fromEntries(tools) },
    ...(version.overrides === undefined ? {} : { overrides: version.overrides }),
  };
}

interface Versions {
  of(name: string): string;
  /** Where packages that are not published depend on each other. */
  readonly overrides?: Readonly<Record<string, string>>;
}

function versionsOf(tables: readonly (Readonly<Record<string, string>> | undefined)[]): Versions {
  const names = tables.flatMap((table) => Object.keys(table ?? {}));
  if (values.packed === undefined) {
    return {
      of: (each) =>
        `^${readManifest(path.join(root, 'packages', each.slice(SCOPE.length), 'package.json')).version}`,
    };
  }
  const place = path.resolve(from, values.packed);
  mkdirSync(place, { recursive: true });
  const tarballs = packWithDependencies(
    names.map((each) => each.slice(SCOPE.length)),
    place,
  );
  const overrides = Object.fromEntries([...tarballs].map(([each, file]) => [each, `file:${file}`]));
  return { of: (each) => overrides[each] ?? '*', overrides };
}

function mapNames(
  table: Readonly<Record<string, string>> | undefined,
  versions: Versions,
): Record<string, string> {
  return Object.fromEntries(Object.keys(table ?? {}).map((each) => [each, versions.of(each)]));
}

function compilerOptions(): unknown {
  const base = JSON.parse(readFileSync(path.join(root, 'tsconfig.base.json'), 'utf8')) as {
    readonly compilerOptions: Readonly<Record<string, unknown>>;
  };
  const { customConditions: _, ...options } = base.compilerOptions;
  return { compilerOptions: { ...options, rootDir: 'src', outDir: 'dist' }, include: ['src'] };
}

function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);
}

function fail(message: string): never {
  console.error(`new-package: ${message}`);
  process.exit(2);
}
