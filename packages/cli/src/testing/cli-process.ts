import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

const MAIN = path.resolve(import.meta.dirname, '../main.ts');

export interface CliProcess {
  readonly child: ChildProcess;
  /** Everything on stderr so far. */
  stderr(): string;
  /** Waits until stderr holds the text; rejects when the process ends before. */
  untilStderr(text: string): Promise<void>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** The CLI as a process of its own, from its sources. */
export function spawnCli(
  argv: readonly string[],
  options: { readonly currentDirectory: string; readonly env?: Readonly<Record<string, string>> },
): CliProcess {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...argv], {
    cwd: options.currentDirectory,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const listeners = new Set<() => void>();
  child.stdout.resume();
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    for (const listener of listeners) listener();
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    child,
    stderr: () => text,
    exited,
    untilStderr: (wanted) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (text.includes(wanted)) resolve();
        };
        listeners.add(check);
        void exited.then(() => reject(new Error(`the CLI ended without saying ${wanted}: ${text}`)));
        check();
      }),
  };
}
