import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { listEndpoints, type PageServerState, setWalSource } from '@neon-snapshot/pageserver-runner';
import { resolvePqConfig } from '@neon-snapshot/pq-proto';
import { type RepositoryPaths, repositoryPaths } from '@neon-snapshot/repository';
import { usageError } from '../cli-error.ts';
import { openSourcePlace, serverEnvironment } from '../open-source.ts';
import type { CommandResult } from '../output/writer.ts';
import { STORAGE_DEST_FORMAT } from '../plugins.ts';
import { createRepository, directoryOf, readRepositoryIfAny } from '../repository.ts';
import { attachStored, findStored } from '../server/ensure-repository.ts';
import { pageServerData } from '../server/page-server-data.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { savedStorageDest } from '../storage-dest-url.ts';
import { transferSnapshot } from '../transfer.ts';
import { assertWritersKeptApart } from '../writers-kept-apart.ts';
import { assertContinues, readTimelineEnd } from './continued-timeline.ts';
import {
  type FollowedPrimary,
  type FollowSource,
  forgetFollowed,
  passfileOf,
  readFollowed,
  writeFollowed,
} from './followed-primary.ts';
import {
  connectPrimary,
  dropPrimarySlot,
  findSlotTrouble,
  type PrimaryFacts,
  placeOf,
  reservePrimary,
} from './primary-connection.ts';

/**
 * The primary that this repository follows. With `--follow` and no repository yet, what `--storage_dest` holds is attached and goes on from
 * its end; where it holds nothing, a base backup of the primary becomes its first snapshot, and a slot keeps the WAL from before it
 * on. A repository that was made from a backup of the primary goes on from there, and one that follows it takes another address of it.
 */
export async function prepareFollowing(session: Session): Promise<FollowedPrimary | undefined> {
  const { args } = session;
  const paths = repositoryPaths(directoryOf(session));
  const followed = await readFollowed(paths);
  const server = args.string('follow');
  if (args.boolean('foreground') && (server !== undefined || followed !== undefined))
    throw usageError(
      '--foreground starts an endpoint, which a timeline that follows a primary cannot have; leave it out',
    );
  if (server === undefined) return followed;
  if (args.boolean('unfollow')) throw usageError('--follow and --unfollow contradict each other');
  if (followed !== undefined && followed.server === describeServer(session, server)) return followed;
  const config = await readRepositoryIfAny(session);
  if (config === undefined) return followFromNothing(session, server);
  if (followed === undefined && (await listEndpoints(paths)).length > 0)
    throw usageError(
      'the repository here has endpoints, whose WAL is another history; to follow a primary, choose another directory with -D and a new --storage_dest',
    );
  const { tenant_id: tenantId, timeline_id: timelineId, storage_dest: storageDest } = config;
  return beginFollowing(session, { server, tenantId, timelineId, storageDest, replaced: followed });
}

/** A new directory: the machine of a follower was lost, or nobody followed yet. */
async function followFromNothing(session: Session, server: string): Promise<FollowedPrimary> {
  const { args } = session;
  const url = args.requiredString('storage_dest');
  const stored = await findStored(session, url);
  if (stored === undefined) {
    const ids = {
      tenantId: args.id('tenant_id') ?? randomId(),
      timelineId: args.id('timeline') ?? randomId(),
    };
    return beginFollowing(session, { server, ...ids, storageDest: undefined });
  }
  const { tenantId, timelineId } = stored;
  return beginFollowing(session, {
    server,
    tenantId,
    timelineId,
    storageDest: url,
    attach: () => attachStored(session, { url, chosen: stored }),
  });
}

interface Beginning {
  readonly server: string;
  readonly tenantId: string;
  readonly timelineId: string;
  /** Where the timeline is that goes on from its end, while the primary still has the WAL; undefined: there is none yet. */
  readonly storageDest: string | undefined;
  /** Makes the repository of it. */
  readonly attach?: () => Promise<void>;
  /** Where it was followed until now. */
  readonly replaced?: FollowedPrimary | undefined;
}

async function beginFollowing(session: Session, beginning: Beginning): Promise<FollowedPrimary> {
  const { server, tenantId, timelineId, storageDest } = beginning;
  const paths = repositoryPaths(directoryOf(session));
  const slot = `neon_${tenantId.slice(0, 8)}`;
  const primary = await reservePrimary(session, { server, slot });
  const followed = {
    server: describeServer(session, server),
    timelineId,
    source: sourceOf(primary, { paths, slot }),
  };
  try {
    if (storageDest === undefined)
      await importBackup(session, { server, slot, ids: { tenantId, timelineId } });
    else {
      const end = await readTimelineEnd(session, { storageDest, tenantId, timelineId });
      await using connection = await connectPrimary(session, server);
      await assertContinues(connection, end, { slot, signal: session.signal });
    }
    await beginning.attach?.();
  } catch (error) {
    if (primary.madeSlot) await giveSlotBack(session, { server, followed });
    throw error;
  }
  await keepPassword(paths, primary);
  await writeFollowed(paths, followed);
  if (primary.madeSlot) warnOfLeftSlot(session, beginning.replaced);
  return followed;
}

/** The slot where it was followed before, on another server than the new one. */
function warnOfLeftSlot({ output }: Session, replaced: FollowedPrimary | undefined): void {
  if (replaced === undefined) return;
  const { slot } = replaced.source;
  output.warn(
    `the slot ${slot} of ${replaced.server} is not used any more and keeps WAL there, if that server is still there: drop it with SELECT pg_drop_replication_slot('${slot}')`,
  );
}

function sourceOf(
  { config, timeLineId }: PrimaryFacts,
  { paths, slot }: { readonly paths: RepositoryPaths; readonly slot: string },
): FollowSource {
  const { host = 'localhost', port, user, password, passfile, tls, tlsRootCertificate } = config;
  return {
    host,
    port,
    user,
    passfile: password === undefined ? passfile : passfileOf(paths),
    slot,
    tls,
    ...(tlsRootCertificate === undefined ? {} : { tlsRootCertificate }),
    timeLineId,
  };
}

/** `postgresql://user@host:port`, of whatever form of connection string. */
function describeServer(session: Session, server: string): string {
  const env = serverEnvironment(session.env);
  const { host = 'localhost', port, user } = resolvePqConfig({ connectionString: server, env });
  return `postgresql://${user}@${host}:${port}`;
}

async function importBackup(
  session: Session,
  of: {
    readonly server: string;
    readonly slot: string;
    readonly ids: { readonly tenantId: string; readonly timelineId: string };
  },
): Promise<void> {
  const { server, slot, ids } = of;
  const destinationUrl = session.args.requiredString('storage_dest');
  await using destination = await openLocation(session, destinationUrl, { role: 'storage', access: 'write' });
  await using source = await openSourcePlace(session, server);
  const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
  session.output.note('taking a base backup of the primary');
  const { info } = await transferSnapshot(
    session,
    { format: source.format, place: source.place, role: 'snapshot', isSnapshotPath: false, fixed: { slot } },
    {
      format: neon,
      storage: destination,
      role: 'storage',
      isSnapshotPath: false,
      fixed: { tenant_id: ids.tenantId, timeline_id: ids.timelineId, sole_tenant: true },
      beforeWrite: () => assertWritersKeptApart(session, destination),
    },
  );
  await createRepository(session, {
    storageDest: await savedStorageDest(session, destinationUrl),
    ...ids,
    postgresMajor: info.postgresMajor,
  });
}

/** What was given by URL or in the environment has to be there when the page server connects again, later. */
async function keepPassword(paths: RepositoryPaths, { config: { password } }: PrimaryFacts): Promise<void> {
  if (password === undefined) return;
  const escaped = password.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  await writeFile(passfileOf(paths), `*:*:*:*:${escaped}\n`, { mode: 0o600 });
}

/** A slot that nobody reads keeps WAL until the primary's disk is full. */
async function giveSlotBack(
  session: Session,
  of: { readonly server: string; readonly followed: FollowedPrimary },
): Promise<void> {
  const { source, server } = of.followed;
  try {
    const env = serverEnvironment(session.env);
    // Not with the session's signal: an interrupted import has to clean up too.
    await dropPrimarySlot({ connectionString: of.server, env }, source.slot);
  } catch (error) {
    session.output.warn(
      `the slot ${source.slot} of ${server} could not be dropped (${error instanceof Error ? error.message : String(error)}); drop it with SELECT pg_drop_replication_slot('${source.slot}')`,
    );
  }
}

interface Following {
  readonly state: PageServerState;
  readonly wasRunning: boolean;
  readonly followed: FollowedPrimary;
}

/** Has the page server take its WAL from the primary. No endpoint is started. */
export async function followPrimary(session: Session, of: Following): Promise<CommandResult> {
  const { state, wasRunning, followed } = of;
  const { tenantId } = state;
  const { timelineId, source, server } = followed;
  await setWalSource(state, { tenantId, timelineId }, source, session.signal);
  // Whoever may only replicate can't ask.
  const trouble = await findSlotTrouble(source, session.signal).catch(() => undefined);
  if (trouble !== undefined) session.output.warn(trouble);
  return {
    command: 'start',
    lines: [
      `page server  pid ${state.pid}, ${wasRunning ? 'already running' : 'started'}, generation ${state.generation}, HTTP ${state.host}:${state.httpPort}, pages ${state.host}:${state.pgPort}`,
      `storage      ${state.storageDest}`,
      `follows      ${server}, slot ${source.slot}`,
      'endpoint     none: put one on a branch (neon branch create, neon endpoint create)',
    ],
    data: {
      wasRunning,
      pageserver: pageServerData(state),
      endpoints: [],
      follows: { server, slot: source.slot },
    },
  };
}

/** Ends following: the timeline is an ordinary one from here on, and the primary no longer keeps WAL for it. */
export async function endFollowing(session: Session, { state, followed }: Following): Promise<void> {
  const { removeWalSource } = await import('@neon-snapshot/pageserver-runner');
  const { tenantId } = state;
  const { timelineId, source, server } = followed;
  await removeWalSource(state, { tenantId, timelineId }, session.signal);
  try {
    await dropPrimarySlot(placeOf(source), source.slot, session.signal);
  } catch (error) {
    session.output.warn(
      `the slot ${source.slot} of ${server} was not dropped, and keeps WAL there: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  await forgetFollowed(repositoryPaths(directoryOf(session)));
}

function randomId(): string {
  return randomBytes(16).toString('hex');
}
