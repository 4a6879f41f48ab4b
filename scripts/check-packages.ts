// Checks every published package as a user would get it: packs the tarball, runs publint and
// are-the-types-wrong on it, and holds the manifests to the house rules. `node scripts/check-packages.ts`
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkPackage as checkTypes, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { MAY_IMPORT } from './boundaries.mjs';
import { packPackage, SCOPE } from './pack.ts';

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly license?: string;
  readonly engines?: { readonly node?: string };
  readonly description?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** A packed package larger than this has something in it that nobody asked for. */
const TARBALL_SIZE_MAX_BYTES = 1024 * 1024;
const ASKED_RESOLUTIONS: ReadonlySet<string> = new Set(['node16-esm', 'bundler']);
const NODE_FLOOR = '>=22.15.0';

const problems: string[] = [];
const directory = mkdtempSync(path.join(tmpdir(), 'neon-pack-'));
try {
  const packages = readdirSync('packages').map((name) => path.join('packages', name));
  for (const folder of packages) await checkPackage(folder);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

async function checkPackage(folder: string): Promise<void> {
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;
  if (!existsSync(path.join(folder, 'README.md'))) problems.push(`${manifest.name}: no README.md`);
  if (manifest.private === true) return;
  if (manifest.license !== 'Apache-2.0') problems.push(`${manifest.name}: license must be Apache-2.0`);
  if (manifest.engines?.node !== NODE_FLOOR)
    problems.push(`${manifest.name}: engines.node must be ${NODE_FLOOR}`);
  checkDependencies(manifest);
  if (!manifest.description) problems.push(`${manifest.name}: no description`);
  const tarball = packPackage(path.basename(folder), directory);
  const size = statSync(tarball).size;
  if (size > TARBALL_SIZE_MAX_BYTES)
    problems.push(`${manifest.name}: packs to ${size} bytes, expected at most ${TARBALL_SIZE_MAX_BYTES}`);
  const bytes = readFileSync(tarball);
  const { messages, pkg } = await publint({
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer },
    strict: true,
  });
  for (const message of messages)
    problems.push(`${manifest.name}: ${formatMessage(message, pkg) ?? message.code}`);
  await checkResolution(manifest.name, bytes);
}

/** The types resolve as the code does. The packages are ES modules only: `require` and resolution before `exports` are not asked. */
async function checkResolution(name: string, tarball: Uint8Array): Promise<void> {
  const result = await checkTypes(createPackageFromTarballData(new Uint8Array(tarball)));
  if (result.types === false) return;
  for (const problem of result.problems) {
    if ('resolutionKind' in problem && !ASKED_RESOLUTIONS.has(problem.resolutionKind)) continue;
    problems.push(`${name}: types: ${JSON.stringify(problem)}`);
  }
}

/** A dependency that the house does not allow is wrong even where only a type is used. */
function checkDependencies(manifest: Manifest): void {
  const allowed = (MAY_IMPORT as Readonly<Record<string, readonly string[]>>)[
    manifest.name.slice(SCOPE.length)
  ];
  if (allowed === undefined) return;
  for (const name of Object.keys(manifest.dependencies ?? {}).filter((each) => each.startsWith(SCOPE))) {
    if (!allowed.includes(name.slice(SCOPE.length)))
      problems.push(`${manifest.name}: must not depend on ${name}`);
  }
}
