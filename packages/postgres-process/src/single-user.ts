import { join, resolve } from 'node:path';
import type { PostgresInstallation } from './installation.ts';
import { lastLines } from './log-tail.ts';
import { dataDirectoryOwner, giveDataDirectory } from './ownership.ts';
import { PostgresProcessError } from './postgres-process-error.ts';
import { assertNotRunning } from './postmaster-pid.ts';
import { runCommand } from './run-command.ts';
import { type ServerSettings, settingArguments } from './server-settings.ts';
import { serverUserFor } from './server-user.ts';

export interface SingleUserOptions {
  readonly installation: PostgresInstallation;
  /** Of a stopped cluster. As root it is given to the account that servers run as. */
  readonly dataDirectory: string;
  /** One statement each, of one line; they reach Postgres through a pipe. The first that fails ends the run. */
  readonly statements: readonly string[];
  /** Default `postgres`. */
  readonly database?: string;
  /** Win over the cluster's own configuration. */
  readonly settings?: ServerSettings;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs statements on a stopped cluster as its superuser, with nobody able to connect, and shuts it down cleanly. Throws
 * `POSTGRES_PROCESS_QUERY` with what the server said; what ran before a failed statement stays done. Returns what it printed, in the
 * form of its own (`tcop/dest`): `1: name = "value"`.
 */
export async function runSingleUser(options: SingleUserOptions): Promise<string> {
  const dataDirectory = resolve(options.dataDirectory);
  const { installation, statements, database = 'postgres', signal } = options;
  const user = serverUserFor(await dataDirectoryOwner(dataDirectory));
  await assertNotRunning(dataDirectory, 'single-user');
  if (user) await giveDataDirectory(dataDirectory, user);
  const settings = {
    ...options.settings,
    exit_on_error: true,
    logging_collector: false,
    log_destination: 'stderr',
  };
  const result = await runCommand({
    file: join(installation.binDirectory, 'postgres'),
    args: ['--single', '-D', dataDirectory, ...settingArguments(settings), database],
    input: statements.map((statement) => `${statement}\n`).join(''),
    user,
    signal,
  });
  if (result.code === 0) return result.stdout;
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_QUERY',
    operation: 'single-user',
    message: `Postgres ${installation.version} on ${dataDirectory} refused a statement in single-user mode: ${lastLines(result.stderr)}`,
    context: { dataDirectory, version: installation.version },
  });
}
