import { realpath } from 'node:fs/promises';
import path from 'node:path';
import {
  assertNoRepository as assertNoneIn,
  initRepository,
  type RepositoryConfig,
  readConfigIfAny,
  repositoryDirectory,
} from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ParsedArguments } from './arguments.ts';
import { CliError, usageError } from './cli-error.ts';
import { loadNeonFormat } from './plugins.ts';
import { openLocation, type Session } from './session.ts';
import { savedStorageDest } from './storage-dest-url.ts';
import { canMakeDirectory, lookAtDirectory } from './writable-directory.ts';

export interface RepositoryRequest {
  readonly args: ParsedArguments;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly currentDirectory: string;
}

/** Which timeline of which storage a command is about. An absent id means: the only one there. */
export interface TimelineChoice {
  readonly storageDest: string;
  readonly tenantId?: string | undefined;
  readonly timelineId?: string | undefined;
}

/** What `neon init` keeps. */
export interface NewRepository {
  readonly storageDest: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly postgresMajor: number;
}

/** The configuration of the repository, or undefined where there is none. */
export function readRepositoryIfAny(request: RepositoryRequest): Promise<RepositoryConfig | undefined> {
  return readConfigIfAny(directoryOf(request));
}

/** Fails before any work is done where `neon init` could not keep its result. */
export async function assertNoRepository(session: Session): Promise<void> {
  const directory = directoryOf(session);
  await assertNoneIn(directory);
  const { existing, isWritable } = await lookAtDirectory(directory);
  if (isWritable && (session.args.boolean('dry_run') || (await canMakeDirectory(existing)))) return;
  throw new CliError(
    'CLI_REPOSITORY_UNWRITABLE',
    'init',
    `the repository cannot be made in ${directory}: ${existing} is no directory that this user may write to; choose another directory with -D`,
    { directory, existing },
  );
}

export async function createRepository(session: Session, repository: NewRepository): Promise<void> {
  await initRepository({
    directory: directoryOf(session),
    config: {
      storage_dest: repository.storageDest,
      tenant_id: repository.tenantId,
      timeline_id: repository.timelineId,
      pg_version: repository.postgresMajor,
    },
  });
}

/**
 * The timeline that a command is about. `--storage_dest` asks for any bucket and leaves the repository out of it; else it
 * is the repository's, whose ids give way to those on the command line.
 */
export async function timelineOf(session: Session): Promise<TimelineChoice> {
  const { args } = session;
  const tenantId = args.id('tenant_id');
  const timelineId = args.id('timeline');
  const given = args.string('storage_dest');
  if (given !== undefined) return { storageDest: given, tenantId, timelineId };
  const config = await requiredRepository(session);
  // A timeline id of the repository says nothing about another tenant, and a snapshot brings its own.
  const isOther = (tenantId !== undefined && tenantId !== config.tenant_id) || args.has('snapshot');
  return {
    storageDest: config.storage_dest,
    tenantId: tenantId ?? config.tenant_id,
    timelineId: timelineId ?? (isOther ? undefined : config.timeline_id),
  };
}

/** Refuses an import of a directory that the repository would become part of. */
export async function assertRepositoryOutside(session: Session, rootPath: string): Promise<void> {
  const directory = directoryOf(session);
  const relative = path.relative(await realPathOf(rootPath), await realPathOf(directory));
  if (relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative)) return;
  throw usageError(
    `the repository would be made in ${directory}, inside of the snapshot that is imported; choose another directory with -D`,
  );
}

/** `storage_dest` for messages and results: absolute, with the options that a later command needs too. */
export async function storageDestUrl(session: Session): Promise<string> {
  const given = session.args.string('storage_dest');
  return given === undefined
    ? (await requiredRepository(session)).storage_dest
    : savedStorageDest(session, given);
}

/** `storage_dest` as a whole, for commands about everything in it. */
export async function openStorageDest(
  session: Session,
  options: { readonly access: 'read' | 'write' },
): Promise<Storage> {
  const url = session.args.string('storage_dest') ?? (await requiredRepository(session)).storage_dest;
  return openLocation(session, url, { role: 'storage', access: options.access });
}

/** `--tenant_id`, else the repository's tenant, else the only one of the storage. */
export async function tenantOf(session: Session, storage: Storage): Promise<string> {
  const { tenantId } = await timelineOf(session);
  if (tenantId !== undefined) return tenantId;
  const { listTenantIds } = await loadNeonFormat();
  const tenants = await listTenantIds(storage, { signal: session.signal });
  const [only, another] = tenants;
  if (only !== undefined && another === undefined) return only;
  throw usageError(
    only === undefined
      ? `${storage.url} holds no tenant; name one with --tenant_id where an import was interrupted`
      : `${storage.url} holds several tenants (${tenants.join(', ')}); choose with --tenant_id`,
  );
}

/** The directory that holds `.neon`, or will. */
export function directoryOf({ args, env, currentDirectory }: RepositoryRequest): string {
  return repositoryDirectory({ option: args.string('repo_dir'), env, currentDirectory });
}

/** The configuration of the repository; `CLI_NO_REPOSITORY` where there is none. */
export async function requiredRepository(session: Session): Promise<RepositoryConfig> {
  const config = await readRepositoryIfAny(session);
  if (config !== undefined) return config;
  const directory = directoryOf(session);
  throw new CliError(
    'CLI_NO_REPOSITORY',
    'open repository',
    `there is no repository in ${directory} (no .neon/config.toml); make one with neon init, name its directory with -D, or name a bucket with --storage_dest`,
    { directory },
  );
}

/** With symbolic links resolved as far as the path exists. */
async function realPathOf(directory: string): Promise<string> {
  const { existing } = await lookAtDirectory(directory);
  return path.join(await realpath(existing), path.relative(existing, directory));
}
