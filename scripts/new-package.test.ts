import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const TIMEOUT = { timeout: 600_000 } as const;
/** Packing and installing takes minutes of a small machine. */
const isWanted = process.env.CI !== undefined;

describe.runIf(isWanted)(
  `new packages${isWanted ? '' : ' (only where CI is set: they are packed and installed)'}`,
  () => {
    let directory = '';

    beforeAll(() => {
      directory = mkdtempSync(path.join(tmpdir(), 'neon-scaffold-'));
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    /** Outside of the workspace: no condition, and no module of it. */
    function run(command: string, args: readonly string[], cwd: string): string {
      const env = { ...process.env, NODE_OPTIONS: '', INIT_CWD: directory };
      return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: 'pipe' });
    }

    it.each([
      ['format', 'crate'],
      ['storage', 'crate'],
    ])('of a %s build and pass the kit in an empty directory, from tarballs', TIMEOUT, (kind, name) => {
      const script = path.join(root, 'scripts/new-package.ts');
      run(process.execPath, [script, kind, name, '--packed', 'tarballs'], directory);
      const made = path.join(directory, `neon-${kind}-${name}`);
      run('npm', ['install', '--no-audit', '--no-fund'], made);
      run('npm', ['run', 'build'], made);
      expect(run('npm', ['test'], made)).toMatch(/Tests .*\d+ passed/);
      expect(existsSync(path.join(made, 'dist/index.d.ts'))).toBe(true);
      const sources = readFileSync(path.join(made, 'src/plugin.ts'), 'utf8');
      expect(sources).toContain(`'${name}'`);
      expect(sources).not.toMatch(/template/i);
    });
  },
);
