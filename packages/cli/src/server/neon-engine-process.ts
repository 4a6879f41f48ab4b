/** `--engine=neon`: Neon's page server under our lease, with our answers to its control plane. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { listTail } from '@neon-snapshot/neon-timeline';
import {
  findNeonPostgres,
  freePort,
  type NeonPageServer,
  type PageServerState,
  RunnerError,
  removePageServerState,
  startControlPlane,
  startNeonPageServer,
  writePageServerState,
} from '@neon-snapshot/pageserver-runner';
import {
  isRepositoryError,
  openRepository,
  processIdentity,
  type Repository,
  type WriterLease,
} from '@neon-snapshot/repository';
import { parseStorageUrl, type Storage } from '@neon-snapshot/storage-core';
import { CliError } from '../cli-error.ts';
import { loadNeonFormat } from '../plugins.ts';
import { directoryOf } from '../repository.ts';
import { openLocation, type Session } from '../session.ts';
import { inlineToml, neonRemoteStorage } from './storage-config.ts';
import { openWriterLease } from './writer-lease.ts';

const run = promisify(execFile);

/** Runs Neon's page server until the session's signal fires; rejects when it ends by itself or the lease is lost. */
export async function serveNeonEngine(
  session: Session,
  options: {
    readonly onNote: (message: string) => void;
    readonly onReady: (state: PageServerState) => void;
  },
): Promise<void> {
  const repository = await openRepository({ directory: directoryOf(session) });
  await using _lock = await repository.lock({ command: 'neon start' });
  const { config, paths } = repository;
  await using storage = await openLocation(
    { ...session, signal: new AbortController().signal },
    config.storage_dest,
    {
      role: 'storage',
      access: 'write',
    },
  );
  await assertNoRawTail(storage, config.tenant_id, session.signal);
  await using lease = await openWriterLease({
    storage,
    tenantId: config.tenant_id,
    command: 'neon start --engine=neon',
    takeOver: session.args.boolean('take_over'),
    unsafeNoLease: session.args.boolean('unsafe_no_lease'),
    onWait: options.onNote,
    signal: session.signal,
  });
  await using controlPlane = await startControlPlane({
    tenantId: config.tenant_id,
    generation: lease.generation,
    isHeld: () => isHeld(lease),
  });
  const ports = {
    pgPort: session.args.integer('pg_port') ?? (await freePort()),
    httpPort: session.args.integer('http_port') ?? (await freePort()),
  };
  await using server = await startServer(session, {
    repository,
    lease,
    controlPlaneUrl: controlPlane.url,
    ...ports,
  });
  const state = await stateOf(repository, { generation: lease.generation, ...ports });
  await writePageServerState(paths, state);
  try {
    options.onReady(state);
    await untilEnd(session, server, lease);
  } finally {
    await removePageServerState(paths, process.pid);
  }
}

/** Neon's program knows nothing of the raw WAL beside its own objects: it would go on from the layers as if that were not there. */
async function assertNoRawTail(storage: Storage, tenantId: string, signal: AbortSignal): Promise<void> {
  const { listTimelines } = await loadNeonFormat();
  for (const { timelineId, index } of await listTimelines(storage, { tenantId, signal })) {
    if (index === undefined) continue;
    const chunks = await listTail(storage, { tenantId, timelineId, signal });
    const isAhead = chunks.some(
      (chunk) => chunk.end > index.diskConsistentLsn && chunk.generation >= (index.generation ?? 0),
    );
    if (isAhead)
      throw new CliError(
        'CLI_RAW_WAL_AHEAD',
        'start',
        `the raw WAL of timeline ${timelineId} in ${storage.url} is ahead of its layers, and Neon's page server reads layers only; turn it into layers first: neon storage flush`,
        { timelineId },
      );
  }
}

async function isHeld(lease: WriterLease): Promise<boolean> {
  try {
    await lease.assertHeld();
    return true;
  } catch (error) {
    if (isRepositoryError(error, 'REPOSITORY_LEASE_LOST')) return false;
    throw error;
  }
}

interface ServerParts {
  readonly repository: Repository;
  readonly lease: WriterLease;
  readonly controlPlaneUrl: string;
  readonly pgPort: number;
  readonly httpPort: number;
}

async function startServer(session: Session, parts: ServerParts): Promise<NeonPageServer> {
  const { config, paths } = parts.repository;
  const program = path.resolve(session.currentDirectory, session.args.requiredString('pageserver_bin'));
  const { settings } = neonRemoteStorage(parseStorageUrl(config.storage_dest));
  const directory = path.join(paths.root, 'neon-pageserver');
  return startNeonPageServer({
    program,
    directory,
    tenantId: config.tenant_id,
    generation: parts.lease.generation,
    controlPlaneUrl: parts.controlPlaneUrl,
    pgPort: parts.pgPort,
    httpPort: parts.httpPort,
    remoteStorage: inlineToml(settings),
    pgDistribDirectory:
      (await findNeonPostgres(program, config.pg_version)) ??
      (await installRedo(path.join(paths.root, 'neon-walredo'))),
    env: session.env,
    signal: session.signal,
  });
}

/** Our own redo where Neon's Postgres is not installed. */
async function installRedo(directory: string): Promise<string> {
  const entry = fileURLToPath(import.meta.resolve('@neon-snapshot/wal-redo'));
  const bin = path.join(path.dirname(entry), '..', 'bin', 'neon-walredo.cjs');
  await run(process.execPath, [bin, 'install', directory]);
  return directory;
}

async function stateOf(
  { config }: Repository,
  facts: { readonly generation: number; readonly pgPort: number; readonly httpPort: number },
): Promise<PageServerState> {
  return {
    pid: process.pid,
    processIdentity: await processIdentity(),
    engine: 'neon',
    host: '127.0.0.1',
    startedAt: new Date().toISOString(),
    tenantId: config.tenant_id,
    storageDest: config.storage_dest,
    durability: 'local',
    pushIntervalMs: 0,
    ...facts,
  };
}

async function untilEnd(session: Session, server: NeonPageServer, lease: WriterLease): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    if (session.signal.aborted) resolve();
    session.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const lost = new Promise<never>((_resolve, reject) => {
    lease.signal.addEventListener(
      'abort',
      () => {
        server.kill();
        reject(lease.signal.reason);
      },
      { once: true },
    );
  });
  const ended = server.exited.then((how) => {
    throw new RunnerError({
      code: 'RUNNER_START_FAILED',
      operation: 'run page server',
      message: `Neon's page server ended by itself: ${how}`,
    });
  });
  await Promise.race([asked, lost, ended]);
  ended.catch(() => undefined);
}
