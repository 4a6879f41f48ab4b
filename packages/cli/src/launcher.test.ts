import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { VERSION } from './version.ts';

const LAUNCHER = path.resolve(import.meta.dirname, '../bin/neon.cjs');
const DIST = path.resolve(import.meta.dirname, '../dist');
const isBuilt = existsSync(path.join(DIST, 'main.js'));

/** Nodes of this machine that are older than the floor: what a user may have on the PATH. */
const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find((node) => {
  if (!existsSync(node)) return false;
  const [major = 0, minor = 0] = execFileSync(node, ['--version'], { encoding: 'utf8' })
    .slice(1)
    .split('.')
    .map(Number);
  return major < 22 || (major === 22 && minor < 15);
});

function launch(node: string, ...argv: string[]): string {
  return execFileSync(node, [LAUNCHER, ...argv], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
}

describe.runIf(isBuilt || process.env.CI === 'true')(
  'the launcher and the bundle (skipped where nothing is built)',
  () => {
    it('start the CLI, its help of commands and its completion', () => {
      expect(launch(process.execPath, '--version').trim()).toBe(VERSION);
      expect(launch(process.execPath, 'snapshot', '--help')).toContain('neon snapshot ls');
      expect(launch(process.execPath, 'completion')).toContain('neon --get-yargs-completions');
    });

    it('load no package of ours, and so no SDK, before a command needs it', () => {
      const seen = new Set<string>();
      const pending = [path.join(DIST, 'main.js')];
      for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
        if (seen.has(file)) continue;
        seen.add(file);
        const statics = [
          ...readFileSync(file, 'utf8').matchAll(/^(?:import|export) [^;]*?from "([^"]+)";/gm),
        ];
        for (const [, name = ''] of [
          ...statics,
          ...readFileSync(file, 'utf8').matchAll(/^import "([^"]+)";/gm),
        ]) {
          expect(name).not.toContain('@neon-snapshot/');
          if (name.startsWith('.')) pending.push(path.resolve(path.dirname(file), name));
        }
      }
      expect(seen.size).toBeGreaterThan(0);
    });

    it.runIf(oldNode !== undefined)(
      'run on the Node that npm ships where the one on the PATH is too old',
      () => {
        expect(launch(oldNode ?? '', '--version').trim()).toBe(VERSION);
      },
    );

    it.runIf(oldNode !== undefined)('pass exit codes and signals through an old Node', async () => {
      const child = spawn(oldNode ?? '', [LAUNCHER, 'inti'], { stdio: 'ignore' });
      const code = await new Promise((resolve) => child.on('exit', resolve));
      expect(code).toBe(2);
    });
  },
);
