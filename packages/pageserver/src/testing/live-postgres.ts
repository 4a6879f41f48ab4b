import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  copySnapshot,
  createFormatServices,
  describeSource,
  type FormatOptions,
  type FormatPlugin,
} from '@neon-snapshot/format-core';
import { plugin as neon } from '@neon-snapshot/format-neon';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { listTenants, listTimelines, UNSHARDED } from '@neon-snapshot/neon-layer';
import {
  findPostgres,
  initdb,
  type PostgresServer,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import type { WalSource } from '../page-server/wal-source.ts';
import { makeStateDirectory } from './memory-server.ts';

/** A directory that a server's account can enter. */
export async function makeScratchDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'neon-live-'));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A fresh cluster in a bucket, and the data directory of an endpoint at its end. */
export interface LiveTimeline extends AsyncDisposable {
  readonly bucket: Storage;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly dataDirectory: string;
  /** Of the page server. */
  readonly stateDirectory: string;
}

export async function makeLiveTimeline(major: number): Promise<LiveTimeline> {
  const bucket = createMemoryStorage();
  const scratch = await makeScratchDirectory();
  const state = await makeStateDirectory();
  await importFreshCluster(bucket, { major, scratch: scratch.path });
  const [tenant = { tenantId: '', shard: UNSHARDED }] = await listTenants(bucket);
  const [timelineId = ''] = await listTimelines(bucket, tenant);
  const dataDirectory = join(scratch.path, 'endpoint');
  await exportEndpoint(bucket, dataDirectory);
  return {
    bucket,
    tenantId: tenant.tenantId,
    timelineId,
    dataDirectory,
    stateDirectory: state.path,
    async [Symbol.asyncDispose]() {
      await state[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** A fresh cluster as a Neon timeline, as `neon init` makes it. */
export async function importFreshCluster(
  storage: Storage,
  { major, scratch }: { readonly major: number; readonly scratch: string },
): Promise<void> {
  const dataDirectory = join(scratch, 'initial');
  const installation = await findPostgres({ major });
  await initdb({ installation, dataDirectory });
  // What gives the cluster a clean end.
  const server = await startPostgres({ installation, dataDirectory });
  await server.stop('fast');
  await using source = await openFsStorage({ rootPath: dataDirectory });
  await copy({ format: pgdata, storage: source }, { format: neon, storage });
  await rm(dataDirectory, { recursive: true });
}

/** The data directory of an endpoint: the timeline's end, ready to be continued. */
export async function exportEndpoint(storage: Storage, dataDirectory: string): Promise<void> {
  await using destination = await openFsStorage({ rootPath: dataDirectory, create: true });
  await copy(
    { format: neon, storage, options: { timeline_id_mode: 'continue' } },
    { format: pgdata, storage: destination },
  );
  const user = unprivilegedUser();
  if (user === undefined) return;
  const names = await readdir(dataDirectory, { recursive: true });
  for (const name of ['', ...names]) await chown(join(dataDirectory, name), user.uid, user.gid);
}

export async function startEndpoint(
  major: number,
  dataDirectory: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PostgresServer> {
  return startPostgres({
    installation: await findPostgres({ major }),
    dataDirectory,
    settings: {
      wal_level: 'replica',
      max_wal_senders: 4,
      max_replication_slots: 4,
      max_prepared_transactions: 4,
      ...settings,
    },
  });
}

export function walSourceOf(server: PostgresServer): WalSource {
  return {
    host: server.socketDirectory,
    port: server.port,
    user: server.superuser,
    slot: 'neon_pageserver',
  };
}

interface CopyEnd {
  readonly format: FormatPlugin;
  readonly storage: Storage;
  readonly options?: FormatOptions;
}

async function copy(from: CopyEnd, to: CopyEnd): Promise<void> {
  const services = createFormatServices({
    openStorage: () => Promise.reject(new Error('there is one location')),
    warn: () => undefined,
  });
  const shared = { services, concurrency: 2 };
  await using reader = await from.format.openReader({
    ...shared,
    storage: from.storage,
    options: from.options ?? {},
  });
  const source = describeSource(reader, from.format.name);
  const writer = await to.format.openWriter({
    ...shared,
    storage: to.storage,
    options: to.options ?? {},
    source,
  });
  await copySnapshot({ reader, writer, concurrency: 2 });
}
