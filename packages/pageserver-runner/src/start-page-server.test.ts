import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type RepositoryPaths, repositoryPaths } from '@neon-snapshot/repository';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPageServer, requirePageServer } from './page-server-state.ts';
import { startPageServer } from './start-page-server.ts';
import { stopPageServer } from './stop-page-server.ts';

const PROGRAM = path.resolve(import.meta.dirname, 'testing/program-page-server.ts');
const TIMEOUT = { timeout: 60_000 } as const;

let directory: string;
let paths: RepositoryPaths;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-runner-'));
  paths = repositoryPaths(directory);
  await mkdir(paths.root);
});
afterEach(async () => {
  await stopPageServer({ paths, timeoutMs: 100 });
  await rm(directory, { recursive: true, force: true });
});

const start = (
  mode: string,
  options: { readonly readyTimeoutMs?: number; readonly onNote?: (note: string) => void } = {},
) =>
  startPageServer({
    paths,
    command: [process.execPath, '--conditions=@neon-snapshot/source', PROGRAM, directory, mode],
    env: process.env,
    ...options,
  });

describe('a page server', TIMEOUT, () => {
  it('is returned when it answers, outlives the call, and stops on TERM', async () => {
    const notes: string[] = [];
    const state = await start('good', { onNote: (note) => notes.push(note) });
    expect(notes).toEqual(['waiting a little']);
    expect(await requirePageServer(paths)).toEqual(state);
    expect(await stopPageServer({ paths })).toBe('clean');
    expect(await stopPageServer({ paths })).toBe('not-running');
    await expect(requirePageServer(paths)).rejects.toMatchObject({ code: 'RUNNER_NOT_RUNNING' });
  });

  it('that reports a failure gives it under its own code', async () => {
    await expect(start('refuse')).rejects.toMatchObject({
      code: 'REPOSITORY_LEASE_HELD',
      message: 'held by another',
      context: { generation: 7 },
    });
  });

  it('that dies while starting is described by the end of its log', async () => {
    await expect(start('die')).rejects.toMatchObject({
      code: 'RUNNER_START_FAILED',
      message: expect.stringMatching(/exit code 9.*\n.*last words/s),
    });
  });

  it('that never gets ready is ended', async () => {
    await expect(start('hang', { readyTimeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'RUNNER_START_TIMEOUT',
    });
    const pid = Number(await readFile(path.join(directory, 'pid'), 'utf8'));
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('that does not listen to TERM is killed', async () => {
    await start('stubborn');
    expect(await stopPageServer({ paths, timeoutMs: 300 })).toBe('killed');
    expect(await findPageServer(paths)).toBeUndefined();
  });

  it('that was killed is told from one that runs, also when its number belongs to another process now', async () => {
    const state = await start('good');
    process.kill(state.pid, 'SIGKILL');
    while ((await findPageServer(paths))?.running === true) await new Promise((done) => setTimeout(done, 20));
    expect(await stopPageServer({ paths })).toBe('stale');
    await writeFile(paths.pageServerFile, JSON.stringify({ version: 1, ...state, pid: process.pid }));
    expect(await findPageServer(paths)).toMatchObject({ running: false });
    expect(await stopPageServer({ paths })).toBe('stale');
  });
});
