import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLUSTER_STATE, decodeControlFile } from '@neon-snapshot/postgres';
import type { PostgresInstallation, ServerUser } from '@neon-snapshot/postgres-process';
import { abortedError, StockRedoError, throwIfAborted } from './stock-redo-error.ts';

export interface RecoverOptions {
  readonly installation: PostgresInstallation;
  readonly directory: string;
  readonly user: ServerUser | undefined;
  /** Data checksums or wal_log_hints of the cluster: then HEAP2 VISIBLE gives heap pages its LSN. */
  readonly hintBitsLogged: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Log kept; recovery of a batch writes some ten lines. */
const LOG_SIZE_MAX = 256 * 1024;
const LOG_TAIL_LINES = 8;
const KILL_AFTER_MS = 5_000;

/** Small buffers start faster (20 ms against 67 ms with 1 GB), and every page is read only once. */
const SETTINGS = [
  'ignore_invalid_pages=on',
  'fsync=off',
  'full_page_writes=off',
  'shared_buffers=8MB',
  'wal_buffers=64kB',
  'wal_recycle=off',
  'wal_init_zero=off',
  'max_connections=5',
  'max_wal_senders=0',
  'max_worker_processes=0',
  'max_prepared_transactions=0',
  'autovacuum=off',
  'huge_pages=off',
  // Ends in files of the directory if the process is killed.
  'dynamic_shared_memory_type=mmap',
  'logging_collector=off',
  'log_min_messages=log',
];

/**
 * Lets Postgres replay the WAL of a scratch cluster. It then checkpoints, finds no catalogs and gives up: what counts is
 * that redo ended and that pg_control says "shut down". Throws `STOCK_REDO_FAILED` where redo began and did not end,
 * `STOCK_REDO_POSTGRES` where it did not begin, `STOCK_REDO_ABORTED`.
 */
export async function recover(options: RecoverOptions): Promise<void> {
  const log = await runSingleUser(options);
  if (log.includes('redo done at') && (await isShutDown(options.directory))) return;
  const began = log.includes('redo starts at');
  throw new StockRedoError({
    code: began ? 'STOCK_REDO_FAILED' : 'STOCK_REDO_POSTGRES',
    operation: 'reconstruct pages',
    message: `Postgres ${options.installation.version} ${began ? 'did not replay the records' : 'could not be run'}: ${tail(log)}`,
  });
}

async function runSingleUser(options: RecoverOptions): Promise<string> {
  const { installation, directory, user, signal } = options;
  throwIfAborted(signal);
  const settings = [...SETTINGS, `wal_log_hints=${options.hintBitsLogged ? 'on' : 'off'}`];
  const args = ['--single', '-D', directory, ...settings.flatMap((setting) => ['-c', setting]), 'postgres'];
  const log = await new Promise<string>((done) => {
    const child = spawn(join(installation.binDirectory, 'postgres'), args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environment(),
      cwd: directory,
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
    let text = '';
    let killing: NodeJS.Timeout | undefined;
    // Asked first, so that it gives back its shared memory.
    const stop = (): void => {
      child.kill('SIGTERM');
      killing = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-LOG_SIZE_MAX);
    });
    const end = (failure: string): void => {
      clearTimeout(killing);
      signal?.removeEventListener('abort', stop);
      done(text + failure);
    };
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signalName) => end(`\nit ended with ${signalName ?? `code ${code}`}`));
  });
  if (signal?.aborted) throw abortedError(signal);
  return log;
}

/** No credentials of ours and no `PG*` that would change what Postgres does; messages in English. */
function environment(): Record<string, string> {
  const kept = ['PATH', 'TZ', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'];
  const given = kept.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { LC_ALL: 'C', ...Object.fromEntries(given) };
}

async function isShutDown(directory: string): Promise<boolean> {
  const control = decodeControlFile(await readFile(join(directory, 'global', 'pg_control')));
  return control.state === CLUSTER_STATE.shutDown;
}

function tail(log: string): string {
  // What went well is of no interest.
  const lines = log.split('\n').filter((line) => line.trim() !== '' && !line.includes(' LOG: '));
  return lines.slice(-LOG_TAIL_LINES).join(' | ');
}
