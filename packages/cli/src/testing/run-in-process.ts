import path from 'node:path';
import { Writable } from 'node:stream';
import { runCli } from '../run.ts';

const MAIN = path.resolve(import.meta.dirname, '../main.ts');

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one JSON object on stdout. */
  json(): Record<string, unknown>;
}

export interface RunOptions {
  readonly currentDirectory: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  /** As if stderr were a terminal. */
  readonly isTTY?: boolean;
}

/** One command line in this process, its output captured. */
export async function run(argv: readonly string[], options: RunOptions): Promise<CliRun> {
  const stdout = new Capture();
  const stderr = new Capture();
  if (options.isTTY === true) stderr.isTTY = true;
  const exitCode = await runCli({
    argv,
    env: { PATH: process.env.PATH, ...options.env },
    currentDirectory: options.currentDirectory,
    stdout,
    stderr,
    signal: options.signal ?? new AbortController().signal,
    program: [process.execPath, '--conditions=@neon-snapshot/source', MAIN],
  });
  return {
    exitCode,
    stdout: stdout.text,
    stderr: stderr.text,
    json: () => JSON.parse(stdout.text) as Record<string, unknown>,
  };
}

class Capture extends Writable {
  text = '';
  isTTY?: boolean;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
