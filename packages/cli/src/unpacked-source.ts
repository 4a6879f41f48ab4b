import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  copySnapshot,
  type FormatCapability,
  FormatError,
  type FormatPlugin,
  type ProgressListener,
  type SnapshotInfo,
  type SnapshotReader,
} from '@neon-snapshot/format-core';
import { DATA_DIRECTORY_FORMAT } from './plugins.ts';
import { formatServices } from './services.ts';
import { loadFormat, openLocation, type Session, type StorageRole } from './session.ts';

/** Why a source has to be unpacked to a directory of this machine first. */
export type UnpackingNeed = 'recovery' | 'order';

/** What the writer asks for and the source does not have: consistency by itself, or a plan. */
export function unpackingNeed(
  { info, plan }: SnapshotReader,
  capability: FormatCapability,
  options: { readonly consistent: boolean },
): UnpackingNeed | undefined {
  if (info.consistency.kind === 'needs-wal' && (options.consistent || !capability.holdsWal))
    return 'recovery';
  return capability.needsPlan === true && plan === undefined ? 'order' : undefined;
}

/** What can be said before anything is unpacked. */
export function assertHolds(info: SnapshotInfo, { name, capability }: FormatPlugin): void {
  const { majors, tablespaces } = capability;
  const refuse = (what: string) => {
    throw new FormatError({
      code: 'FORMAT_UNSUPPORTED',
      operation: 'check source',
      message: `the format ${name} can't hold ${what}`,
    });
  };
  if (!majors.includes(info.postgresMajor)) {
    refuse(`a cluster of Postgres ${info.postgresMajor}; supported majors are ${majors.join(', ')}`);
  }
  if (!tablespaces && info.tablespaces.length > 0) {
    const names = info.tablespaces.map(({ oid, location }) => `${oid} (${location})`).join(', ');
    refuse(`user tablespaces: ${names}; move their relations to pg_default first`);
  }
}

export interface UnpackOptions {
  readonly need: UnpackingNeed;
  readonly from: { readonly format: FormatPlugin; readonly role: StorageRole };
  readonly concurrency: number;
  readonly onProgress: ProgressListener;
  readonly signal: AbortSignal;
  readonly pagesVerifiedDownstream: boolean;
}

/**
 * Unpacks a source into a data directory below the temporary directory (`TMPDIR`), which needs as much space as the cluster, has it
 * recovered by the Postgres of its major where it needs WAL, and opens it. Disposing removes it. Tablespaces lie inside of it.
 */
export async function unpackSource(
  session: Session,
  source: SnapshotReader,
  options: UnpackOptions,
): Promise<SnapshotReader> {
  const { from, need, concurrency, onProgress, signal, pagesVerifiedDownstream } = options;
  const scratch = await mkdtemp(path.join(tmpdir(), 'neon-unpack-'));
  const remove = () => rm(scratch, { recursive: true, force: true });
  try {
    // The server that recovers it runs as another account.
    await chmod(scratch, 0o755);
    const dataDirectory = path.join(scratch, 'data');
    session.output.note(`unpacking ${from.format.name} to ${scratch}`);
    const pgdata = await loadFormat(session, DATA_DIRECTORY_FORMAT);
    const shared = {
      options: {},
      services: formatServices(session, from.role),
      concurrency,
      onProgress,
      signal,
    };
    await unpack(session, source, { pgdata, dataDirectory, shared });
    if (need === 'recovery') await recover(session, source.info, dataDirectory);
    const storage = await openLocation(session, dataDirectory, { role: from.role, access: 'read' });
    const reader = await pgdata.openReader({ ...shared, storage, pagesVerifiedDownstream });
    return withTablespaces(reader, source.info, async () => {
      await storage[Symbol.asyncDispose]();
      await remove();
    });
  } catch (error) {
    await remove();
    throw error;
  }
}

async function unpack(
  session: Session,
  source: SnapshotReader,
  to: {
    readonly pgdata: FormatPlugin;
    readonly dataDirectory: string;
    readonly shared: Omit<Parameters<FormatPlugin['openWriter']>[0], 'storage' | 'source'>;
  },
): Promise<void> {
  const { pgdata, dataDirectory, shared } = to;
  const tablespaces = source.info.tablespaces.map(({ oid }) => ({ oid, location: `pg_tblspc/${oid}` }));
  const info = { ...source.info, tablespaces };
  await using storage = await openLocation(session, dataDirectory, { role: 'snapshot', access: 'write' });
  const writer = await pgdata.openWriter({ ...shared, storage, source: { info, formatName: 'spool' } });
  const { concurrency, onProgress, signal } = shared;
  await copySnapshot({ reader: source, writer, concurrency, onProgress, signal });
}

async function recover(session: Session, info: SnapshotInfo, dataDirectory: string): Promise<void> {
  const { findPostgres, recoverInPlace } = await import('@neon-snapshot/postgres-process');
  const { signal } = session;
  session.output.note(`recovering it with Postgres ${info.postgresMajor}`);
  const installation = await findPostgres({ major: info.postgresMajor, prefer: 'system', signal });
  await recoverInPlace({ dataDirectory, installation, signal });
}

/** The unpacked directory as a snapshot whose tablespaces are where those of the source were. */
function withTablespaces(
  reader: SnapshotReader,
  { tablespaces }: SnapshotInfo,
  release: () => Promise<void>,
): SnapshotReader {
  return {
    info: { ...reader.info, tablespaces },
    ...(reader.plan === undefined ? {} : { plan: reader.plan }),
    partitions: (countMax) => reader.partitions(countMax),
    finish: () => reader.finish(),
    async [Symbol.asyncDispose]() {
      await reader[Symbol.asyncDispose]();
      await release();
    },
  };
}
