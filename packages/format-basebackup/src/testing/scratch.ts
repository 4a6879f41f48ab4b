import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  copySnapshot,
  createFormatServices,
  describeSource,
  type FormatOptions,
  type FormatPlugin,
  type FormatServices,
  type WriteResult,
} from '@neon-snapshot/format-core';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { findPostgres, recoverDataDirectory, unprivilegedUser } from '@neon-snapshot/postgres-process';
import type { Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { plugin as basebackup } from '../plugin.ts';

const run = promisify(execFile);
const PLUGINS = { basebackup, pgdata } as const;

/** One side of a copy. */
export interface CopyEnd {
  readonly format: keyof typeof PLUGINS;
  readonly storage: Storage;
  readonly options?: FormatOptions;
}

/** A directory for one test file, with everything that a copy on this machine needs. */
export interface Scratch extends AsyncDisposable {
  readonly path: string;
  readonly services: FormatServices;
  readonly warnings: string[];
  /** A path that does not exist yet. */
  newPath(): string;
  /** An empty directory that a server may use. */
  makeServerDirectory(): Promise<string>;
  copy(from: CopyEnd, to: CopyEnd, signal?: AbortSignal): Promise<WriteResult>;
}

export async function makeScratch(): Promise<Scratch> {
  const path = await mkdtemp(join(tmpdir(), 'neon-basebackup-'));
  await chmod(path, 0o755);
  let count = 0;
  const newPath = () => join(path, `d${count++}`);
  const warnings: string[] = [];
  const services = makeServices(path, warnings);
  return {
    path,
    services,
    warnings,
    newPath,
    async makeServerDirectory() {
      const directory = newPath();
      await mkdir(directory, { mode: 0o700 });
      await giveToServer(directory);
      return directory;
    },
    copy: (from, to, signal) => copy({ from, to, services, signal }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

export function openDirectory(rootPath: string): Promise<Storage> {
  return openFsStorage({ rootPath });
}

export function createDirectory(rootPath: string): Promise<Storage> {
  return openFsStorage({ rootPath, create: true });
}

/** Gives files to the account that servers run as. */
export async function giveToServer(directory: string): Promise<void> {
  const user = unprivilegedUser();
  if (user !== undefined) await run('chown', ['-R', `${user.uid}:${user.gid}`, directory]);
}

function makeServices(scratchDirectory: string, warnings: string[]): FormatServices {
  return createFormatServices({
    openStorage: (url, { access }) => (access === 'read' ? openDirectory(url) : createDirectory(url)),
    recover: async ({ dataDirectory, postgresMajor, signal }) => {
      const installation = await findPostgres({ major: postgresMajor });
      return recoverDataDirectory({ dataDirectory, installation, scratchDirectory, signal });
    },
    warn: (message) => warnings.push(message),
  });
}

async function copy(request: {
  readonly from: CopyEnd;
  readonly to: CopyEnd;
  readonly services: FormatServices;
  readonly signal: AbortSignal | undefined;
}): Promise<WriteResult> {
  const { from, to, services, signal } = request;
  const [source, target]: readonly FormatPlugin[] = [PLUGINS[from.format], PLUGINS[to.format]];
  if (source === undefined || target === undefined) throw new Error('no such format');
  const shared = { services, concurrency: 2, signal };
  await using reader = await source.openReader({
    ...shared,
    storage: from.storage,
    options: from.options ?? {},
  });
  const writer = await target.openWriter({
    ...shared,
    storage: to.storage,
    options: to.options ?? {},
    source: describeSource(reader, source.name),
  });
  return await copySnapshot({ reader, writer, concurrency: 2, signal });
}
