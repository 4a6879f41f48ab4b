import { spawn } from 'node:child_process';
import { throwIfAborted } from './postgres-process-error.ts';
import type { ServerUser } from './server-user.ts';

/** Output kept per stream; the rest is read and dropped. */
const OUTPUT_SIZE_MAX_BYTES = 1024 * 1024;

export interface CommandOptions {
  readonly file: string;
  /** Visible to every user of the machine: never a secret. */
  readonly args: readonly string[];
  /** Written to its standard input, which then ends. Default: none at all. */
  readonly input?: string;
  readonly user?: ServerUser | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CommandResult {
  /** Exit code; null when a signal ended it or it could not be started. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Rejects only when interrupted; a program that can't start is a result with `code` null. */
export async function runCommand(options: CommandOptions): Promise<CommandResult> {
  throwIfAborted(options.signal, options.file);
  const result = await new Promise<CommandResult>((done) => {
    const child = spawn(options.file, options.args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: childEnvironment(),
      cwd: '/',
      ...identity(options.user),
      ...(options.signal && { signal: options.signal }),
    });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    // A program that ends without reading it all says why on its own.
    child.stdin?.on('error', () => undefined).end(options.input);
    let failure = '';
    child.once('error', (error) => {
      failure = error.message;
      if (child.pid === undefined) done({ code: null, stdout: '', stderr: failure });
    });
    child.once('close', (code) => done({ code, stdout: stdout(), stderr: stderr() || failure }));
  });
  throwIfAborted(options.signal, options.file);
  return result;
}

/** The spawn options that make a child run as `user`. */
export function identity(user: ServerUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
}

/**
 * The environment of every child: no credentials of ours (a server's `archive_command` would see them), no `PG*` that
 * would change what it does, messages in English.
 */
export function childEnvironment(): Record<string, string> {
  const kept = ['PATH', 'TMPDIR', 'TZ', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SystemRoot'];
  const environment: Record<string, string> = { LC_ALL: 'C' };
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (sizeBytes < OUTPUT_SIZE_MAX_BYTES) chunks.push(chunk);
    sizeBytes += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
