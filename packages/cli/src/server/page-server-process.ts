/** A page server in this process, from the lease to the last push. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { PageServer } from '@neon-snapshot/pageserver';
import {
  boundLogFile,
  type PageServerState,
  removePageServerState,
  writePageServerState,
} from '@neon-snapshot/pageserver-runner';
import {
  openRepository,
  processIdentity,
  type Repository,
  type RepositoryPaths,
} from '@neon-snapshot/repository';
import { openStorage, type Storage } from '@neon-snapshot/storage-core';
import { directoryOf } from '../repository.ts';
import type { Session } from '../session.ts';
import { eventLogger } from './json-log.ts';
import { durabilityOf } from './page-server-flags.ts';
import { listen } from './services.ts';
import { openWriterLease } from './writer-lease.ts';

export interface PageServerProcess extends AsyncDisposable {
  readonly state: PageServerState;
  readonly pageServer: PageServer;
  /** Resolves when it has to end: with an error where it was fenced, else when the session's signal fires. */
  readonly ending: Promise<Error | undefined>;
}

export interface OpenProcessOptions {
  readonly command: string;
  readonly onNote: (message: string) => void;
}

const LOG_CHECK_INTERVAL_MS = 60_000;
/** The page server repeats for ever by itself, and wants to hear soon of a storage that fails. */
const STORAGE_ATTEMPTS_MAX = 2;
const STORAGE_TIMEOUT_MS = 20_000;
/** The same for backends that repeat by themselves. */
const IMPATIENCE: Readonly<Record<string, string>> = {
  S3_MAX_RETRIES: '2',
  S3_MAX_THROTTLING_RETRY_DELAY: '1000',
};

/**
 * Opens a page server of the session's repository and listens. It owns the repository until it is disposed, which pushes
 * everything and gives the lease back. Errors: `REPOSITORY_LOCKED`, `REPOSITORY_LEASE_…`, `StorageError`, `PageServerError`.
 */
export async function openPageServerProcess(
  session: Session,
  options: OpenProcessOptions,
): Promise<PageServerProcess> {
  await using started = new Cleanup();
  const repository = await openRepository({ directory: directoryOf(session) });
  started.add(await repository.lock({ command: options.command }));
  const storage = await openForServing(session, repository);
  started.add(storage);
  const { pageServer, state } = await openPageServer(session, { repository, storage, ...options });
  started.add(pageServer);
  const services = await listen(session, pageServer, portsOf(session));
  started.add(services);
  const whole = { ...state, host: services.host, pgPort: services.pgPort, httpPort: services.httpPort };
  await writePageServerState(repository.paths, whole);
  started.add({ [Symbol.asyncDispose]: () => leaveState(repository.paths, whole, pageServer.signal) });
  started.add(boundLogs(repository));
  const close = started.release();
  return { state: whole, pageServer, ending: untilEnd(session, pageServer), [Symbol.asyncDispose]: close };
}

/** Not with the session's signal: the last push comes after it has fired. */
function openForServing(session: Session, { config }: Repository): Promise<Storage> {
  return openStorage(session.registry, config.storage_dest, {
    role: 'storage',
    access: 'write',
    env: withImpatience(session.env),
    baseDirectory: session.currentDirectory,
    attemptsMax: STORAGE_ATTEMPTS_MAX,
    timeoutMs: STORAGE_TIMEOUT_MS,
    warn: (message) => session.output.warn(message),
  });
}

/** What the user has set, under any of its names, stays. */
function withImpatience(env: Session['env']): Session['env'] {
  const added = Object.entries(IMPATIENCE).filter(([name]) =>
    [name, `NEON_STORAGE_${name}`, `WALG_${name}`].every((each) => env[each] === undefined),
  );
  return { ...Object.fromEntries(added), ...env };
}

interface ServingParts extends OpenProcessOptions {
  readonly repository: Repository;
  readonly storage: Storage;
}

async function openPageServer(
  session: Session,
  { repository, storage, command, onNote }: ServingParts,
): Promise<{
  readonly pageServer: PageServer;
  readonly state: Omit<PageServerState, 'host' | 'pgPort' | 'httpPort'>;
}> {
  const { args, signal } = session;
  const { tenant_id: tenantId, storage_dest: storageDest } = repository.config;
  const lease = await openWriterLease({
    storage,
    tenantId,
    command,
    takeOver: args.boolean('take_over'),
    unsafeNoLease: args.boolean('unsafe_no_lease'),
    onWait: onNote,
    signal,
  });
  try {
    const pageServer = await PageServer.open({
      storage,
      tenantId,
      lease,
      stateDirectory: repository.paths.root,
      durability: durabilityOf(args),
      pushIntervalMs: args.durationMs('push_interval'),
      layerIntervalMs: args.durationMs('layer_interval'),
      pitrIntervalMs: args.durationMs('pitr_interval'),
      gcGraceMs: args.durationMs('gc_grace'),
      cacheBytesMax: args.bytes('cache_size'),
      memoryBytesMax: args.bytes('memory_size'),
      onEvent: eventLogger(session.output),
      signal,
    });
    const state = {
      pid: process.pid,
      processIdentity: await processIdentity(),
      engine: 'embedded',
      startedAt: new Date().toISOString(),
      tenantId,
      storageDest,
      generation: lease.generation,
      durability: pageServer.config.durability,
      pushIntervalMs: pageServer.config.pushIntervalMs,
    } as const;
    return { pageServer, state };
  } catch (error) {
    await lease.release();
    throw error;
  }
}

function portsOf({ args }: Session): { readonly pgPort: number; readonly httpPort: number } {
  return { pgPort: args.integer('pg_port') ?? 0, httpPort: args.integer('http_port') ?? 0 };
}

/** A page server that was stopped leaves nothing behind; one that was fenced leaves word why. `fenced` has not been closed yet. */
async function leaveState(
  paths: RepositoryPaths,
  state: PageServerState,
  fenced: AbortSignal,
): Promise<void> {
  if (!fenced.aborted) return removePageServerState(paths, process.pid);
  const { code, message } = asError(fenced.reason) as Error & { readonly code?: unknown };
  const ended = { at: new Date().toISOString(), code: String(code ?? 'INTERNAL'), message };
  await writePageServerState(paths, { ...state, ended });
}

function untilEnd(session: Session, pageServer: PageServer): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const fenced = () => resolve(asError(pageServer.signal.reason));
    if (pageServer.signal.aborted) fenced();
    pageServer.signal.addEventListener('abort', fenced, { once: true });
    session.signal.addEventListener('abort', () => resolve(undefined), { once: true });
    if (session.signal.aborted) resolve(undefined);
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Keeps every log of the repository within its size while the page server runs. */
function boundLogs({ paths }: Repository): AsyncDisposable {
  const check = async () => {
    for (const name of await readdir(paths.logsDirectory).catch(() => []))
      if (name.endsWith('.log')) await boundLogFile(path.join(paths.logsDirectory, name)).catch(() => false);
  };
  const timer = setInterval(() => void check(), LOG_CHECK_INTERVAL_MS);
  timer.unref();
  return { [Symbol.asyncDispose]: async () => clearInterval(timer) };
}

/** What has to be closed, in reverse order, unless it is released to somebody else. */
class Cleanup implements AsyncDisposable {
  #parts: AsyncDisposable[] = [];

  add(part: AsyncDisposable): void {
    this.#parts.push(part);
  }

  /** The closing of everything becomes the caller's. */
  release(): () => Promise<void> {
    const parts = this.#parts;
    this.#parts = [];
    return () => closeAll(parts);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return closeAll(this.#parts);
  }
}

/** All of them, also after one that fails; then its error. */
async function closeAll(parts: readonly AsyncDisposable[]): Promise<void> {
  let first: unknown;
  for (const part of [...parts].reverse()) {
    try {
      await part[Symbol.asyncDispose]();
    } catch (error) {
      first ??= error;
    }
  }
  if (first !== undefined) throw first;
}
