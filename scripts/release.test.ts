import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function manifestsOf(directory: string): Manifest[] {
  const folder = path.join(directory, 'packages');
  return readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(path.join(folder, name, 'package.json'), 'utf8')) as Manifest,
  );
}

describe('a release', () => {
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'neon-release-'));
    const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, maxBuffer: 2 ** 26 });
    execFileSync('tar', ['-cf', path.join(directory, 'tree.tar'), '--null', '--files-from=-'], {
      cwd: root,
      input: onlyManifests(files),
    });
    execFileSync('tar', ['-xf', 'tree.tar'], { cwd: directory });
    symlinkSync(path.join(root, 'node_modules'), path.join(directory, 'node_modules'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('gives every published package a version and a changelog, tried in a copy', () => {
    const published = manifestsOf(root).filter((manifest) => manifest.private !== true);
    execFileSync(path.join(root, 'node_modules/.bin/changeset'), ['version'], {
      cwd: directory,
      stdio: 'pipe',
    });
    const released = new Map(manifestsOf(directory).map((manifest) => [manifest.name, manifest]));
    for (const { name, version } of published) {
      expect(released.get(name)?.version, `${name} needs a changeset`).not.toBe(version);
      const folder = path.join(directory, 'packages', name.replace(/^.*\//, ''));
      expect(readFileSync(path.join(folder, 'CHANGELOG.md'), 'utf8')).toContain(released.get(name)?.version);
    }
  });
});

/** The release touches manifests only: nothing else has to be copied. */
function onlyManifests(files: Buffer): string {
  const wanted = /(^|\/)(package\.json|pnpm-workspace\.yaml|LICENSE)$|^\.changeset\//;
  return files
    .toString()
    .split('\0')
    .filter((file) => wanted.test(file) && !file.includes('fixtures/'))
    .join('\0');
}
