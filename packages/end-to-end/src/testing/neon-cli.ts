import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAIN = path.resolve(import.meta.dirname, '../../../cli/src/main.ts');
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface CliResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the CLI's sources as a child process; a failure carries what it printed. */
export async function neon(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const words = ['--conditions=@neon-snapshot/source', MAIN, ...args];
  return run(process.execPath, words, {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    maxBuffer: OUTPUT_BYTES_MAX,
  });
}
