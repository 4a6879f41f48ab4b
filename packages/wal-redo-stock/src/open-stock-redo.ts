import { chmod, lchown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BLCKSZ } from '@neon-snapshot/postgres';
import {
  assertReachable,
  type PostgresInstallation,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { batchesOf } from './batches.ts';
import type { HeapLayout, StockPageRequest } from './page-request.ts';
import { replayBatch, type StockRedoConfig, type StockRedoMajor } from './replay-batch.ts';
import { StockRedoError, throwIfAborted } from './stock-redo-error.ts';

export const STOCK_REDO_MAJORS: readonly StockRedoMajor[] = [14, 15, 16, 17];

export interface StockRedoOptions {
  /** Of the major that wrote the WAL. */
  readonly installation: PostgresInstallation;
  /** Does the cluster have data checksums: pages then get valid ones. */
  readonly dataChecksums: boolean;
  /**
   * Whose Postgres wrote the WAL. Never guessed: for 14 and 15 records do not tell, and the wrong one raises no error and
   * ruins pages. With `neon`, records that only Neon's Postgres reads are refused.
   */
  readonly heapLayout: HeapLayout;
  /** Data checksums or `wal_log_hints` in the cluster. Default: `dataChecksums`. */
  readonly hintBitsLogged?: boolean;
  /** Where scratch clusters go; the server's account has to reach it. Default: the temporary directory (`TMPDIR`). */
  readonly scratchDirectory?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface StockReconstructedPages {
  /** One page after the other, in the order of the requests; of a failed one the content is undefined. */
  readonly pages: Uint8Array;
  /** In the order of the requests. */
  readonly failures: readonly { readonly index: number; readonly error: StockRedoError }[];
}

/** Redo by stock Postgres. Dispose to remove what it keeps on disk; that interrupts what still runs. */
export interface StockRedo extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  /**
   * The pages after their records, each on its own: the same page may be asked for at several LSNs. A page that fails does
   * not stop the others. Calls may overlap. Rejects with `STOCK_REDO_POSTGRES`, `…_ABORTED`, `…_CLOSED`.
   */
  reconstructPages(
    requests: readonly StockPageRequest[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<StockReconstructedPages>;
}

/**
 * Makes the engine; Postgres starts only for pages, once for each batch. Throws `STOCK_REDO_OPTION`, and
 * PostgresProcessError where root finds no account for Postgres or that account can't reach the scratch directory.
 */
export async function openStockRedo(options: StockRedoOptions): Promise<StockRedo> {
  const { installation, dataChecksums, heapLayout } = options;
  const major = STOCK_REDO_MAJORS.find((each) => each === installation.major);
  if (major === undefined) {
    throw new StockRedoError({
      code: 'STOCK_REDO_OPTION',
      operation: 'open stock redo',
      message: `There is no redo by Postgres ${installation.major}; supported majors: ${STOCK_REDO_MAJORS.join(', ')}`,
    });
  }
  throwIfAborted(options.signal);
  const user = unprivilegedUser();
  const parent = resolve(options.scratchDirectory ?? tmpdir());
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, 'neon-stock-redo-'));
  const hintBitsLogged = options.hintBitsLogged ?? dataChecksums;
  try {
    await chmod(directory, 0o700);
    if (user !== undefined) await lchown(directory, user.uid, user.gid);
    await assertReachable(directory, user);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  return new Engine({ installation, major, heapLayout, dataChecksums, hintBitsLogged, user, directory });
}

class Engine implements StockRedo {
  readonly installation: PostgresInstallation;
  readonly #config: StockRedoConfig;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(config: StockRedoConfig) {
    this.installation = config.installation;
    this.#config = config;
  }

  async reconstructPages(
    requests: readonly StockPageRequest[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<StockReconstructedPages> {
    if (this.#closing.signal.aborted) throw closedError();
    const signals = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const run = this.#reconstruct(requests, AbortSignal.any(signals));
    this.#running.add(run);
    try {
      return await run;
    } finally {
      this.#running.delete(run);
    }
  }

  async #reconstruct(
    requests: readonly StockPageRequest[],
    signal: AbortSignal,
  ): Promise<StockReconstructedPages> {
    const pages = new Uint8Array(BLCKSZ * requests.length);
    const failures: { index: number; error: StockRedoError }[] = [];
    for (const batch of batchesOf(requests)) {
      throwIfAborted(signal);
      await replayBatch(batch, { config: this.#config, pages, failures, signal });
    }
    return { pages, failures: failures.sort((a, b) => a.index - b.index) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(closedError());
    await Promise.allSettled(this.#running);
    await rm(this.#config.directory, { recursive: true, force: true });
  }
}

function closedError(): StockRedoError {
  return new StockRedoError({
    code: 'STOCK_REDO_CLOSED',
    operation: 'reconstruct pages',
    message: 'Redo by stock Postgres was closed',
  });
}
