import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import {
  assertReachable,
  findPostgres,
  isPostgresProcessError,
  type StartDetachedPostgresOptions,
  startDetachedPostgres,
  stopDetachedPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { acquireLock, type RepositoryPaths } from '@neon-snapshot/repository';
import { boundLogFile } from '../log-file.ts';
import { isHealthy, setWalSource } from '../page-server-client.ts';
import { type PageServerState, requirePageServer } from '../page-server-state.ts';
import { RunnerError } from '../runner-error.ts';
import { REPLICATION_ROLE, REPLICATION_SLOT } from './connection-string.ts';
import { type BuildDataDirectory, prepareDataDirectory } from './data-directory.ts';
import { type Endpoint, requireEndpoint, writeEndpointState } from './endpoint-state.ts';
import { freePort, isPortFree } from './ports.ts';
import { commandLineSettings, writeServerFiles } from './server-files.ts';
import { makeSocketDirectory } from './socket-directory.ts';

export interface StartEndpointOptions {
  readonly repository: RepositoryPaths;
  readonly name: string;
  readonly build: BuildDataDirectory;
  /** Must be free; from then on the endpoint's. Default: the one it had, or another where that is taken. */
  readonly port?: number | undefined;
  readonly onNote?: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface StartedEndpoint {
  readonly endpoint: Endpoint;
  /** It ran before, and nothing was done. */
  readonly wasRunning: boolean;
  /** The data directory that was there continues the timeline; else it was built from storage. */
  readonly reused: boolean;
}

/** A crash recovery may take its time. */
const READY_TIMEOUT_MS = 600_000;
const ORPHANS_TIMEOUT_MS = 15_000;
const ORPHANS_INTERVAL_MS = 200;
/** Longer than it takes to stop an endpoint. */
const LAST_WORD_TIMEOUT_MS = 15_000;
const LAST_WORD_INTERVAL_MS = 100;

/**
 * Starts the Postgres of an endpoint and connects the page server to it; returns when it accepts connections. Throws
 * `RUNNER_NOT_RUNNING` without a page server, `RUNNER_ENDPOINT_NOT_FOUND`, `RUNNER_PORT_IN_USE`, `PostgresProcessError`, and what
 * building the data directory throws.
 */
export async function startEndpoint(options: StartEndpointOptions): Promise<StartedEndpoint> {
  const { repository, name, signal } = options;
  const pageServer = await requirePageServer(repository);
  const { paths } = await requireEndpoint(repository, name);
  await assertReachable(paths.dataDirectory, unprivilegedUser());
  await using _lock = await acquireLock(paths.lockFile, { command: `neon endpoint start ${name}` });
  const endpoint = await requireEndpoint(repository, name);
  if (endpoint.pid !== undefined && endpoint.durability === pageServer.durability) {
    await connectPageServer(pageServer, endpoint, signal);
    return { endpoint, wasRunning: true, reused: true };
  }
  if (endpoint.pid !== undefined) {
    options.onNote?.(
      `endpoint ${name} is started again: its commits are to be durable by --durability=${pageServer.durability}`,
    );
    // It is not asked for its WAL before it stops: what the page server lacks is still there after the start.
    await stopDetachedPostgres({ dataDirectory: paths.dataDirectory, mode: 'immediate', signal });
  }
  const major = endpoint.postgresMajor;
  const installation = await findPostgres({ major, prefer: 'system', signal });
  const { reused, ...cluster } = await prepareDataDirectory(endpoint, {
    ...options,
    pageServer,
    installation,
  });
  const port = await choosePort(endpoint, options);
  const socketDirectory = await makeSocketDirectory(paths, endpoint.socketDirectory);
  const { durability } = pageServer;
  const started = { ...endpoint, ...cluster, port, socketDirectory, durability };
  await writeEndpointState(paths, started);
  await writeServerFiles(paths, major);
  await mkdir(repository.logsDirectory, { recursive: true });
  await boundLogFile(paths.logFile);
  try {
    const pid = await startServer({
      installation,
      dataDirectory: paths.dataDirectory,
      settings: commandLineSettings(paths, { port, socketDirectory, durability }),
      logFile: paths.logFile,
      readyTimeoutMs: READY_TIMEOUT_MS,
      signal,
    });
    await connectPageServer(pageServer, started, signal);
    return { endpoint: { ...started, pid }, wasRunning: false, reused };
  } catch (error) {
    // Its commits would go nowhere.
    await stopDetachedPostgres({ dataDirectory: paths.dataDirectory, mode: 'immediate' });
    await untilItSaysWhy(repository, pageServer);
    throw error;
  }
}

/**
 * A page server that was fenced stops the endpoints first, also one that is being started, and then leaves word why it ends: throws that.
 * Returns where it goes on.
 */
async function untilItSaysWhy(repository: RepositoryPaths, pageServer: PageServerState): Promise<void> {
  for (const startedAt = performance.now(); performance.now() - startedAt < LAST_WORD_TIMEOUT_MS; ) {
    await requirePageServer(repository);
    if (await isHealthy(pageServer)) return;
    await delay(LAST_WORD_INTERVAL_MS);
  }
}

/** After a postmaster was killed, its last children hold its shared memory for a moment more. */
async function startServer(options: StartDetachedPostgresOptions): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return await startDetachedPostgres(options);
    } catch (error) {
      const isOrphaned =
        isPostgresProcessError(error, 'POSTGRES_PROCESS_START') &&
        /shared memory block .* still in use/.test(error.message);
      if (!isOrphaned || performance.now() - startedAt > ORPHANS_TIMEOUT_MS) throw error;
      await delay(ORPHANS_INTERVAL_MS, undefined, { signal: options.signal });
    }
  }
}

async function connectPageServer(
  pageServer: PageServerState,
  endpoint: Endpoint,
  signal: AbortSignal | undefined,
): Promise<void> {
  const timeline = { tenantId: pageServer.tenantId, timelineId: endpoint.timelineId };
  await setWalSource(
    pageServer,
    timeline,
    {
      host: endpoint.socketDirectory ?? '127.0.0.1',
      port: endpoint.port,
      user: REPLICATION_ROLE,
      passfile: endpoint.paths.passfile,
      slot: REPLICATION_SLOT,
    },
    signal,
  );
}

async function choosePort(endpoint: Endpoint, options: StartEndpointOptions): Promise<number> {
  const wanted = options.port ?? endpoint.port;
  if (await isPortFree(wanted)) return wanted;
  if (options.port !== undefined)
    throw new RunnerError({
      code: 'RUNNER_PORT_IN_USE',
      operation: 'start endpoint',
      message: `port ${wanted} of 127.0.0.1 is in use; choose another one, or leave --port out`,
      context: { port: wanted },
    });
  const port = await freePort();
  options.onNote?.(
    `port ${wanted} of endpoint ${endpoint.name} is in use by another program; it is ${port} from now on`,
  );
  return port;
}
