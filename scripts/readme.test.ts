import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Example {
  readonly language: string;
  readonly code: string;
}

const root = path.resolve(import.meta.dirname, '..');

/** The fenced `sh` and `ts` blocks of a section, in order. */
function examplesOf(markdown: string, heading: string): Example[] {
  const section = markdown.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return [...section.matchAll(/^```(sh|ts)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    code: match[2] ?? '',
  }));
}

describe('the examples of the README', () => {
  const examples = examplesOf(readFileSync(path.join(root, 'README.md'), 'utf8'), 'Six examples');
  let directory = '';

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'neon-readme-'));
    chmodSync(directory, 0o755);
    mkdirSync(path.join(directory, 'bin'));
    symlinkSync(path.join(root, 'packages/cli/bin/neon.cjs'), path.join(directory, 'bin/neon'));
    // The library example resolves packages as if they were installed beside it.
    mkdirSync(path.join(directory, 'node_modules/@neon-snapshot'), { recursive: true });
    for (const name of ['storage-core', 'storage-fs']) {
      symlinkSync(
        path.join(root, 'packages', name),
        path.join(directory, 'node_modules/@neon-snapshot', name),
      );
    }
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('are six', () => {
    expect(examples).toHaveLength(6);
  });

  it('run one after another as they stand there', { timeout: 240_000 }, () => {
    const env = {
      ...process.env,
      PATH: `${path.join(directory, 'bin')}${path.delimiter}${process.env.PATH}`,
      NODE_OPTIONS: '',
    };
    for (const [index, example] of examples.entries()) {
      if (example.language === 'sh') {
        execFileSync('bash', ['-euo', 'pipefail', '-c', example.code], {
          cwd: directory,
          env,
          stdio: 'pipe',
        });
        continue;
      }
      const file = path.join(directory, `example-${index}.mts`);
      writeFileSync(file, example.code);
      const printed = execFileSync(process.execPath, [file], { cwd: directory, env, encoding: 'utf8' });
      expect(printed.trim()).toBe('true');
    }
  });
});
