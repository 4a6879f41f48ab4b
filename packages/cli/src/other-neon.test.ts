import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findOtherNeon } from './other-neon.ts';
import { run } from './testing/run-in-process.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-path-'));
  for (const name of ['ours', 'theirs', 'shim']) await mkdir(path.join(directory, name));
  await symlink(path.resolve(import.meta.dirname, '../bin/neon.cjs'), path.join(directory, 'ours/neon'));
  await writeFile(path.join(directory, 'shim/neon'), '#!/bin/sh\nexec node ../cli/bin/neon.cjs "$@"\n');
  await writeFile(path.join(directory, 'theirs/neon'), '#!/usr/bin/env node\nimport("./neonctl.js");\n');
  await chmod(path.join(directory, 'theirs/neon'), 0o755);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function pathOf(...names: string[]): { readonly PATH: string } {
  return { PATH: names.map((name) => path.join(directory, name)).join(path.delimiter) };
}

describe("npm's other neon", () => {
  it('is found on the PATH, behind our own links and shims', async () => {
    expect(await findOtherNeon(pathOf('ours', 'shim', 'theirs'))).toBe(path.join(directory, 'theirs/neon'));
  });

  it('is not seen where only ours is', async () => {
    expect(await findOtherNeon(pathOf('ours', 'shim', 'nowhere'))).toBeUndefined();
    expect(await findOtherNeon({})).toBeUndefined();
  });

  it('is named in the help, with the name to use instead', async () => {
    const help = await run(['--help'], { currentDirectory: directory, env: pathOf('theirs') });
    expect(help.stdout.replaceAll('\n', ' ')).toContain(
      `${path.join(directory, 'theirs/neon')}. This one is also installed as neon-storage.`,
    );
  });
});
