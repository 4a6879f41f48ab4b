import path from 'node:path';
import type { Storage } from '@neon-snapshot/storage-core';
import type { ParsedArguments } from './arguments.ts';
import { CliError, usageError } from './cli-error.ts';
import { loadNeonFormat } from './plugins.ts';
import { openLocation, type Session } from './session.ts';

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

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';

interface Cfg {
  plugins: string[];
  storage_dest: string;
  tenant_id: string;
  timeline_id: string;
}

/** `-D`, else NEON_REPO_DIR, else the current directory; absolute. */
export function repositoryDirectory({ args, env, currentDirectory }: RepositoryRequest): string {
  return path.resolve(currentDirectory, args.string('repo_dir') ?? (env.NEON_REPO_DIR || '.'));
}

/** The configuration of the repository, or undefined where there is none. */
export async function readRepositoryIfAny(request: RepositoryRequest): Promise<Cfg | undefined> {
  const f = path.join(repositoryDirectory(request), '.neon/config.json');
  return existsSync(f) ? JSON.parse(readFileSync(f, 'utf8')) : undefined;
}

/** Fails before any work is done where `neon init` could not keep its result. */
export async function assertNoRepository(session: Session): Promise<void> {
  const directory = repositoryDirectory(session);
  if ((await readRepositoryIfAny(session)) === undefined) return;
  throw new CliError(
    'CLI_REPOSITORY_EXISTS',
    'init',
    `${directory} already holds a repository (.neon/config.toml); choose another directory with -D`,
    { directory },
  );
}

export async function createRepository(session: Session, repository: NewRepository): Promise<void> {
  const directory = repositoryDirectory(session);
  mkdirSync(path.join(directory, '.neon'), { recursive: true });
  writeFileSync(
    path.join(directory, '.neon/config.json'),
    JSON.stringify({
      plugins: [],
      storage_dest: repository.storageDest,
      tenant_id: repository.tenantId,
      timeline_id: repository.timelineId,
    }),
  );
}

/**
 * The timeline that a command is about. `--storage_dest` asks for any bucket and leaves the repository out of it; else it
 * is the repository's, whose ids give way to those on the command line.
 */
export async function timelineOf(session: Session): Promise<TimelineChoice> {
  const { args } = session;
  const tenantId = idArgument(args, 'tenant_id');
  const timelineId = idArgument(args, 'timeline');
  const given = args.string('storage_dest');
  if (given !== undefined) return { storageDest: given, tenantId, timelineId };
  const config = await requiredRepository(session);
  // A timeline id of the repository says nothing about another tenant.
  const isOtherTenant = tenantId !== undefined && tenantId !== config.tenant_id;
  return {
    storageDest: config.storage_dest,
    tenantId: tenantId ?? config.tenant_id,
    timelineId: timelineId ?? (isOtherTenant ? undefined : config.timeline_id),
  };
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
      ? `${storage.url} holds no tenant`
      : `${storage.url} holds several tenants (${tenants.join(', ')}); choose with --tenant_id`,
  );
}

/** An id flag: 32 hex digits. */
export function idArgument(args: ParsedArguments, flag: string): string | undefined {
  const given = args.string(flag);
  if (given === undefined) return undefined;
  const id = given.toLowerCase();
  if (/^[0-9a-f]{32}$/.test(id)) return id;
  throw usageError(`--${flag} is 32 hex digits, found ${given}`);
}

async function requiredRepository(session: Session): Promise<Cfg> {
  const config = await readRepositoryIfAny(session);
  if (config !== undefined) return config;
  const directory = repositoryDirectory(session);
  throw new CliError(
    'CLI_NO_REPOSITORY',
    'open repository',
    `there is no repository in ${directory} (no .neon/config.toml); make one with neon init, name its directory with -D, or name a bucket with --storage_dest`,
    { directory },
  );
}
