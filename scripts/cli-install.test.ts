import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packWithDependencies } from './pack.ts';

const TIMEOUT_MS = 600_000;
/** Packing and installing takes minutes of a small machine. */
const isWanted = process.env.CI !== undefined;
const name = `the packed CLI${isWanted ? '' : ' (only where CI is set: it is packed and installed)'}`;

describe.runIf(isWanted)(name, () => {
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'neon-install-'));
    const tarballs = packWithDependencies(['cli'], directory);
    const files = Object.fromEntries([...tarballs].map(([each, file]) => [each, `file:${file}`]));
    const dependencies = { '@neon-snapshot/cli': files['@neon-snapshot/cli'] };
    writeFileSync(
      path.join(directory, 'package.json'),
      JSON.stringify({ private: true, dependencies, overrides: files }),
    );
    run('npm', ['install', '--omit=optional', '--no-audit', '--no-fund']);
  }, TIMEOUT_MS);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Outside of the workspace: no condition, and no module of it. */
  function run(command: string, args: readonly string[]): string {
    const env = { ...process.env, NODE_OPTIONS: '' };
    return execFileSync(command, args, { cwd: directory, env, encoding: 'utf8', stdio: 'pipe' });
  }

  function neon(...args: string[]): string {
    return run(process.execPath, ['node_modules/@neon-snapshot/cli/dist/main.js', ...args]);
  }

  it('works on files with nothing but what it cannot do without', () => {
    expect(neon('--version')).toMatch(/^\d+\.\d+\.\d+/);
    expect(neon('storage', 'check', `file://${directory}`, '--json')).toContain('"usable":true');
    expect(neon('plugins', 'list')).toContain('s3');
  });

  it('says which package a store needs that was left out', () => {
    expect(() => neon('storage', 'ls', 's3://bucket/prefix')).toThrow(
      /@neon-snapshot\/storage-s3 is not installed; .*npm install @neon-snapshot\/storage-s3/,
    );
  });
});
