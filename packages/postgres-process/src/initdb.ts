import { lchown, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { PostgresInstallation } from './installation.ts';
import { lastLines } from './log-tail.ts';
import { makeOwnedDirectory, makeRuntimeDirectory } from './ownership.ts';
import { PostgresProcessError } from './postgres-process-error.ts';
import { runCommand } from './run-command.ts';
import { type ServerUser, unprivilegedUser } from './server-user.ts';

export interface InitdbOptions {
  readonly installation: PostgresInstallation;
  /** Must be absent or empty. Made with mode 0700; as root it is given to the account that servers run as. */
  readonly dataDirectory: string;
  /** Default `postgres`. */
  readonly superuser?: string;
  /** The superuser's password; reaches initdb through a file of mode 0600, never through argv. */
  readonly password?: string;
  /** Default `UTF8`. Always given, since what the machine's locale implies differs between machines. */
  readonly encoding?: string;
  /** Default `C.UTF-8`, which sorts by code point. */
  readonly locale?: string;
  /** 15 and newer; `builtin` 17 and newer. Default `libc`. */
  readonly localeProvider?: 'libc' | 'builtin' | 'icu';
  /** Default: false, for every major. */
  readonly dataChecksums?: boolean;
  readonly walSegmentSizeMiB?: number;
  /** Wait until the files are on disk. Default true. */
  readonly sync?: boolean;
  /** Further arguments, as they are. Visible to every user of the machine: never a secret. */
  readonly extraArgs?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Major from which `initdb` makes checksums unless told not to. */
const CHECKSUMS_BY_DEFAULT_MAJOR = 18;

/** Makes a new cluster. On failure or abort nothing of it stays in the directory. */
export async function initdb(options: InitdbOptions): Promise<void> {
  const dataDirectory = resolve(options.dataDirectory);
  const user = unprivilegedUser();
  await assertEmpty(dataDirectory);
  await makeOwnedDirectory(dataDirectory, user);
  const runtimeDirectory = await makeRuntimeDirectory(user);
  try {
    const passwordFile = options.password === undefined ? undefined : join(runtimeDirectory, 'password');
    if (passwordFile) await writePasswordFile(passwordFile, options.password ?? '', user);
    const result = await runCommand({
      file: join(options.installation.binDirectory, 'initdb'),
      args: initdbArguments(options, { dataDirectory, passwordFile }),
      user,
      signal: options.signal,
    });
    if (result.code !== 0) throw initdbFailure(options, result.stderr || result.stdout);
  } catch (error) {
    await emptyDirectory(dataDirectory);
    throw error;
  } finally {
    await rm(runtimeDirectory, { recursive: true, force: true });
  }
}

function initdbArguments(
  options: InitdbOptions,
  paths: { readonly dataDirectory: string; readonly passwordFile: string | undefined },
): string[] {
  const { major } = options.installation;
  const args = [
    '--pgdata',
    paths.dataDirectory,
    '--username',
    options.superuser ?? 'postgres',
    '--encoding',
    options.encoding ?? 'UTF8',
    '--locale',
    options.locale ?? 'C.UTF-8',
    '--auth-local=peer',
    '--auth-host=scram-sha-256',
  ];
  if (options.localeProvider !== undefined || major >= 15)
    args.push('--locale-provider', options.localeProvider ?? 'libc');
  if (options.dataChecksums) args.push('--data-checksums');
  else if (major >= CHECKSUMS_BY_DEFAULT_MAJOR) args.push('--no-data-checksums');
  if (options.walSegmentSizeMiB !== undefined) args.push('--wal-segsize', String(options.walSegmentSizeMiB));
  if (options.sync === false) args.push('--no-sync');
  if (paths.passwordFile) args.push('--pwfile', paths.passwordFile);
  return [...args, ...(options.extraArgs ?? [])];
}

async function writePasswordFile(
  path: string,
  password: string,
  user: ServerUser | undefined,
): Promise<void> {
  if (password === '' || /[\r\n]/.test(password))
    throw new PostgresProcessError({
      code: 'POSTGRES_PROCESS_OPTION',
      operation: 'initdb',
      message: 'the password of the superuser is empty or holds a line break, which initdb cannot take',
    });
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
  if (user) await lchown(path, user.uid, user.gid);
}

async function assertEmpty(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return;
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_OPTION',
    operation: 'initdb',
    message: `${directory} is not empty (it holds ${names[0]}); choose another directory for the new cluster`,
    context: { directory },
  });
}

async function emptyDirectory(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => []))
    await rm(join(directory, name), { recursive: true, force: true });
}

function initdbFailure(options: InitdbOptions, output: string): PostgresProcessError {
  return new PostgresProcessError({
    code: 'POSTGRES_PROCESS_INITDB',
    operation: 'initdb',
    message: `initdb of Postgres ${options.installation.version} failed for ${options.dataDirectory}: ${lastLines(output)}`,
    context: { dataDirectory: options.dataDirectory, version: options.installation.version },
  });
}
