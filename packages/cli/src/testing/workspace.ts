import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CliRun, type RunOptions, run } from './run-in-process.ts';

/** A scratch directory in which command lines run. Dispose to remove it. */
export interface Workspace extends AsyncDisposable {
  readonly directory: string;
  path(name: string): string;
  neon(argv: readonly string[], options?: Partial<RunOptions>): Promise<CliRun>;
  /** Runs a command that has to succeed and gives its JSON result. */
  result(argv: readonly string[], options?: Partial<RunOptions>): Promise<Record<string, unknown>>;
  /** Runs a command that has to fail and gives its JSON error. */
  failure(argv: readonly string[], options?: Partial<RunOptions>): Promise<Record<string, unknown>>;
}

export async function openWorkspace(): Promise<Workspace> {
  const directory = await mkdtemp(path.join(tmpdir(), 'neon-cli-'));
  // The account that Postgres runs as has to pass through.
  await chmod(directory, 0o755);
  const neon: Workspace['neon'] = (argv, options) => run(argv, { currentDirectory: directory, ...options });
  return {
    directory,
    path: (name) => path.join(directory, name),
    neon,
    result: async (argv, options) => {
      const outcome = await neon([...argv, '--json'], options);
      if (outcome.exitCode !== 0) throw new Error(`${argv.join(' ')} failed: ${outcome.stdout}`);
      return outcome.json();
    },
    failure: async (argv, options) => {
      const outcome = await neon([...argv, '--json'], options);
      if (outcome.exitCode === 0) throw new Error(`${argv.join(' ')} did not fail: ${outcome.stdout}`);
      return outcome.json().error as Record<string, unknown>;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Every path below a directory, sorted; empty where there is none. */
export async function tree(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.sort();
}
