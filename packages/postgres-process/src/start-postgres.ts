import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lchown, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildPostgres } from './child-postgres.ts';
import type { PostgresInstallation } from './installation.ts';
import { readLogTail } from './log-tail.ts';
import { dataDirectoryOwner, giveDataDirectory, makeRuntimeDirectory } from './ownership.ts';
import { PostgresProcessError, throwIfAborted } from './postgres-process-error.ts';
import type { PostgresServer } from './postgres-server.ts';
import { assertNotRunning, readPostmasterPid } from './postmaster-pid.ts';
import { childEnvironment, identity } from './run-command.ts';
import { type ServerSettings, settingArguments } from './server-settings.ts';
import { type ServerUser, serverUserFor } from './server-user.ts';
import { startWatchdog } from './watchdog.ts';

export interface StartPostgresOptions {
  readonly installation: PostgresInstallation;
  /** As root: one that root owns is given to the unprivileged account, one of another account is served as that. */
  readonly dataDirectory: string;
  /** Win over every configuration file of the cluster. */
  readonly settings?: ServerSettings;
  /** Used instead of the data directory's own `postgresql.conf`. */
  readonly configFile?: string;
  /** Account that `query` and `connect` use. Default `postgres`. */
  readonly superuser?: string;
  /** `socket` (default) opens no TCP port at all; `loopback` opens one on 127.0.0.1, with passwords (SCRAM) only. */
  readonly listen?: 'socket' | 'loopback';
  /** Default: a free one with `loopback`. */
  readonly port?: number;
  /** Default: in the server's runtime directory, which goes with the server. Appended to. */
  readonly logFile?: string;
  /** Default 60 000; `Infinity` to wait for any recovery. */
  readonly readyTimeoutMs?: number;
  /** Interrupts the start, not the running server. */
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_PORT = 5432;
const READY_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 15;

/** Only those who may enter the socket's directory reach the `local` lines; TCP always asks for a password. */
const HBA = [
  'local all all trust',
  'local replication all trust',
  'host all all 127.0.0.1/32 scram-sha-256',
  'host replication all 127.0.0.1/32 scram-sha-256',
  '',
].join('\n');

/**
 * Starts Postgres on a data directory and waits until it accepts connections. It listens on a Unix socket in a private
 * directory, does not use the cluster's own `pg_hba.conf`, and ends with this process, however that ends.
 * Throws `POSTGRES_PROCESS_START` with the last lines of the log, or `…_NOT_A_CLUSTER`, `…_RUNNING`, `…_TIMEOUT`,
 * `…_UNREACHABLE`, `…_ABORTED`; nothing runs then.
 */
export async function startPostgres(options: StartPostgresOptions): Promise<PostgresServer> {
  throwIfAborted(options.signal, 'start');
  const dataDirectory = resolve(options.dataDirectory);
  const user = serverUserFor(await dataDirectoryOwner(dataDirectory));
  await assertNotRunning(dataDirectory, 'start');
  if (user) await giveDataDirectory(dataDirectory, user);
  const runtimeDirectory = await makeRuntimeDirectory(user);
  try {
    const place = { dataDirectory, runtimeDirectory, user, port: await choosePort(options) };
    const server = await spawnServer(options, place);
    await untilReady(server, options);
    return server;
  } catch (error) {
    await rm(runtimeDirectory, { recursive: true, force: true });
    throw error;
  }
}

interface ServerPlace {
  readonly dataDirectory: string;
  readonly runtimeDirectory: string;
  readonly user: ServerUser | undefined;
  readonly port: number;
}

async function spawnServer(options: StartPostgresOptions, place: ServerPlace): Promise<ChildPostgres> {
  const { installation } = options;
  const { dataDirectory, runtimeDirectory, user, port } = place;
  const hbaFile = join(runtimeDirectory, 'pg_hba.conf');
  await writeFile(hbaFile, HBA, { mode: 0o600 });
  if (user) await lchown(hbaFile, user.uid, user.gid);
  const logFile = options.logFile ?? join(runtimeDirectory, 'postgres.log');
  await using log = await open(logFile, 'a', 0o600);
  const child = spawn(
    join(installation.binDirectory, 'postgres'),
    serverArguments(options, { ...place, hbaFile }),
    {
      // Its own session: Ctrl-C at the terminal is ours to answer, by a proper stop.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: childEnvironment(),
      cwd: dataDirectory,
      ...identity(user),
    },
  );
  if (!hasPid(child)) throw await spawnFailure(child, installation);
  child.unref();
  const callOffWatchdog = startWatchdog({ pid: child.pid, runtimeDirectory, user });
  const superuser = options.superuser ?? 'postgres';
  return new ChildPostgres({
    child,
    installation,
    dataDirectory,
    port,
    runtimeDirectory,
    logFile,
    superuser,
    callOffWatchdog,
  });
}

function serverArguments(
  options: StartPostgresOptions,
  place: ServerPlace & { readonly hbaFile: string },
): string[] {
  const own: Record<string, string | number | boolean> = {
    listen_addresses: options.listen === 'loopback' ? '127.0.0.1' : '',
    port: place.port,
    unix_socket_directories: place.runtimeDirectory,
    unix_socket_permissions: '0700',
    hba_file: place.hbaFile,
    ...(options.configFile === undefined ? {} : { config_file: options.configFile }),
    logging_collector: false,
    log_destination: 'stderr',
  };
  return ['-D', place.dataDirectory, ...settingArguments({ ...own, ...options.settings })];
}

async function choosePort(options: StartPostgresOptions): Promise<number> {
  if (options.port !== undefined) return options.port;
  if (options.listen !== 'loopback') return DEFAULT_PORT;
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address !== null ? address.port : DEFAULT_PORT;
}

function hasPid(child: ChildProcess): child is ChildProcess & { readonly pid: number } {
  return child.pid !== undefined;
}

async function spawnFailure(child: ChildProcess, installation: PostgresInstallation): Promise<Error> {
  const [cause]: unknown[] = await once(child, 'error').catch((error: unknown) => [error]);
  return new PostgresProcessError({
    code: 'POSTGRES_PROCESS_START',
    operation: 'start',
    message: `${installation.binDirectory}/postgres could not be run: ${cause instanceof Error ? cause.message : cause}`,
    context: { binDirectory: installation.binDirectory },
    cause,
  });
}

/** Postgres itself reports readiness in its pid file, which needs no connection. On failure the server is stopped. */
async function untilReady(server: ChildPostgres, options: StartPostgresOptions): Promise<void> {
  const timeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS;
  const startedAt = performance.now();
  try {
    for (;;) {
      const { status, pid } = (await readPostmasterPid(server.dataDirectory)) ?? {};
      if (pid === server.pid && (status === 'ready' || status === 'standby')) return;
      if (!server.running) throw await startFailure(server, 'POSTGRES_PROCESS_START', 'ended while starting');
      throwIfAborted(options.signal, 'start');
      if (performance.now() - startedAt > timeoutMs)
        throw await startFailure(
          server,
          'POSTGRES_PROCESS_TIMEOUT',
          `was not ready after ${timeoutMs} ms (${status ?? 'no status'})`,
        );
      await delay(POLL_INTERVAL_MS);
    }
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
}

async function startFailure(
  server: ChildPostgres,
  code: 'POSTGRES_PROCESS_START' | 'POSTGRES_PROCESS_TIMEOUT',
  what: string,
): Promise<PostgresProcessError> {
  const { installation, dataDirectory } = server;
  return new PostgresProcessError({
    code,
    operation: 'start',
    message: `Postgres ${installation.version} on ${dataDirectory} ${what}; its log ends:\n${await readLogTail(server.logFile)}`,
    context: { dataDirectory, version: installation.version },
  });
}
