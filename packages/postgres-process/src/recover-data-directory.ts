import { chmod, copyFile, lchown, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CLUSTER_STATE, type ControlFile, clusterStates, decodeControlFile } from '@neon-snapshot/postgres';
import { copyTree } from './copy-tree.ts';
import type { PostgresInstallation } from './installation.ts';
import { dataDirectoryOwner } from './ownership.ts';
import { isPostgresProcessError, PostgresProcessError } from './postgres-process-error.ts';
import { assertNotRunning } from './postmaster-pid.ts';
import { recoverySettings } from './recovery-settings.ts';
import { startPostgres } from './start-postgres.ts';

export interface RecoverDataDirectoryOptions {
  /** A data directory that was not shut down cleanly, or a restored base backup with its `backup_label` and WAL. Only read. */
  readonly dataDirectory: string;
  /** Must be of the directory's major, and built with the WAL compression that the cluster uses. */
  readonly installation: PostgresInstallation;
  /** Where the copy goes; needs as much space as the cluster. Default: the temporary directory (`TMPDIR`). */
  readonly scratchDirectory?: string;
  /** Default: as long as it takes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A consistent, cleanly stopped copy. Dispose to remove it. */
export interface RecoveredDataDirectory extends AsyncDisposable {
  readonly dataDirectory: string;
}

const ALTER_SYSTEM_FILE = 'postgresql.auto.conf';
/** Of one run or one role of the source; the configuration of ALTER SYSTEM comes back after recovery. */
const LEFT_BEHIND: ReadonlySet<string> = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'standby.signal',
  'recovery.signal',
  'backup_manifest',
  ALTER_SYSTEM_FILE,
]);

/**
 * Makes a crashed (or base-backed-up) data directory consistent: copies it, lets Postgres replay the WAL in `pg_wal` to its
 * end, stops it cleanly. The server has no network, no archiving, no extension libraries and none of the cluster's
 * own configuration. Nothing stays behind on failure.
 * Throws `POSTGRES_PROCESS_RECOVERY` with the log, `…_RUNNING`, `…_NO_SPACE`, `…_UNSUPPORTED`.
 */
export async function recoverDataDirectory(
  options: RecoverDataDirectoryOptions,
): Promise<RecoveredDataDirectory> {
  const source = resolve(options.dataDirectory);
  await assertRecoverable(source, options.installation);
  const scratch = await mkdtemp(join(options.scratchDirectory ?? tmpdir(), 'neon-recover-'));
  const dispose = () => rm(scratch, { recursive: true, force: true });
  try {
    await chmod(scratch, 0o755);
    const dataDirectory = join(scratch, 'data');
    await copyTree({
      source,
      target: dataDirectory,
      skip: (path) => LEFT_BEHIND.has(path) || path.startsWith('pg_stat_tmp/'),
      follow: (path) => path === 'pg_wal',
      signal: options.signal,
    });
    await replayWal({ ...options, dataDirectory }, scratch);
    await finishDirectory(source, dataDirectory);
    return { dataDirectory, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * The same without a copy, for a directory that was made for it: an unpacked base backup, say. On failure the directory is spoilt.
 */
export async function recoverInPlace(
  options: Omit<RecoverDataDirectoryOptions, 'scratchDirectory'>,
): Promise<void> {
  const dataDirectory = resolve(options.dataDirectory);
  await assertRecoverable(dataDirectory, options.installation);
  const scratch = await mkdtemp(join(tmpdir(), 'neon-recover-'));
  try {
    await chmod(scratch, 0o755);
    const hasSettings = (await readdir(dataDirectory)).includes(ALTER_SYSTEM_FILE);
    if (hasSettings) await moveFile(join(dataDirectory, ALTER_SYSTEM_FILE), join(scratch, ALTER_SYSTEM_FILE));
    for (const name of LEFT_BEHIND) await rm(join(dataDirectory, name), { force: true });
    await replayWal({ ...options, dataDirectory }, scratch);
    await finishDirectory(scratch, dataDirectory);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Also between file systems. */
async function moveFile(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await rm(from);
}

async function replayWal(options: RecoverDataDirectoryOptions, scratch: string): Promise<void> {
  const { dataDirectory, installation, signal } = options;
  const configFile = join(scratch, 'postgresql.conf');
  await writeFile(configFile, '', { mode: 0o644 });
  await chmod(configFile, 0o644);
  const settings = await recoverySettings(dataDirectory, {
    control: await readControlFile(dataDirectory),
    major: installation.major,
  });
  const readyTimeoutMs = options.timeoutMs ?? Number.POSITIVE_INFINITY;
  try {
    await using server = await startPostgres({
      installation,
      dataDirectory,
      settings,
      configFile,
      readyTimeoutMs,
      signal,
    });
    await server.stop('fast', { signal });
  } catch (error) {
    if (!isPostgresProcessError(error, 'POSTGRES_PROCESS_START')) throw error;
    throw recoveryError(
      options.dataDirectory,
      `Postgres ${installation.version} could not recover the copy: ${error.message}`,
      error,
    );
  }
  const { state } = await readControlFile(dataDirectory);
  if (state !== CLUSTER_STATE.shutDown)
    throw recoveryError(dataDirectory, `after recovery the copy is ${clusterStates[state]}, not shut down`);
}

/** The recovered copy has its own checkpoint; only a fresh start may read a backup_label again. */
async function finishDirectory(source: string, dataDirectory: string): Promise<void> {
  for (const name of ['backup_label.old', 'tablespace_map.old', 'postmaster.opts'])
    await rm(join(dataDirectory, name), { force: true });
  const [from, to] = [join(source, 'postgresql.auto.conf'), join(dataDirectory, 'postgresql.auto.conf')];
  try {
    await copyFile(from, to);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  const { uid, gid } = await stat(dataDirectory);
  if (process.geteuid?.() === 0) await lchown(to, uid, gid);
}

async function assertRecoverable(dataDirectory: string, installation: PostgresInstallation): Promise<void> {
  await dataDirectoryOwner(dataDirectory);
  await assertNotRunning(dataDirectory, 'recover');
  const version = (await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8')).trim();
  if (version !== String(installation.major))
    throw new PostgresProcessError({
      code: 'POSTGRES_PROCESS_OPTION',
      operation: 'recover',
      message: `${dataDirectory} is of Postgres ${version}, the Postgres to recover it with is ${installation.version}`,
      context: { dataDirectory, version },
    });
  const tablespaces = await readdir(join(dataDirectory, 'pg_tblspc'), { withFileTypes: true });
  const link = tablespaces.find((entry) => entry.isSymbolicLink());
  if (link === undefined) return;
  // Replaying CREATE TABLESPACE would point the copy at the original's directory and write there.
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_UNSUPPORTED',
    operation: 'recover',
    message: `${dataDirectory} has tablespace ${link.name} outside the data directory, which a scratch copy can't hold safely; start and stop Postgres on the directory itself`,
    context: { dataDirectory, tablespace: link.name },
  });
}

async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  return decodeControlFile(await readFile(join(dataDirectory, 'global', 'pg_control')));
}

function recoveryError(dataDirectory: string, message: string, cause?: unknown): PostgresProcessError {
  return new PostgresProcessError({
    code: 'POSTGRES_PROCESS_RECOVERY',
    operation: 'recover',
    message,
    context: { dataDirectory },
    ...(cause === undefined ? {} : { cause }),
  });
}
