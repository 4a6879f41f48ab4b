import type { TimelineListing } from '@neon-snapshot/format-neon';
import { openRefs, type RepositoryConfig } from '@neon-snapshot/repository';
import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from '../cli-error.ts';
import { loadNeonFormat } from '../plugins.ts';
import { createRepository, readRepositoryIfAny, requiredRepository } from '../repository.ts';
import { openLocation, type Session } from '../session.ts';
import { savedStorageDest } from '../storage-dest-url.ts';

/** Name of the branch and of the endpoint that `neon start` is about. */
export const MAIN = 'main';

const NEW_CLUSTER_FLAGS = ['pg_version', 'superuser', 'locale', 'data_checksums'] as const;

/**
 * The repository of `neon start`. Where there is none yet, `--storage_dest` says where from: the tenant that is there is attached; where
 * there is none, a new cluster is made, as `neon init` does.
 */
export async function ensureRepository(session: Session): Promise<RepositoryConfig> {
  const existing = await readRepositoryIfAny(session);
  const given = session.args.string('storage_dest');
  if (existing !== undefined) {
    if (given !== undefined) await assertSameStorage(session, existing, given);
    refuseNewClusterFlags(session, 'this repository has its cluster already');
    return existing;
  }
  if (given === undefined) return requiredRepository(session);
  const chosen = await findStored(session, given);
  if (chosen === undefined) {
    const { run } = await import('../commands/init.ts');
    session.output.note(`${given} is empty: making a new cluster there`);
    await run(session);
  } else await attachStored(session, { url: given, chosen });
  return requiredRepository(session);
}

/** What `neon start` would attach; undefined where the storage holds no tenant. */
export async function findStored(session: Session, url: string): Promise<TimelineListing | undefined> {
  try {
    return await findTimeline(session, url);
  } catch (error) {
    // A directory that is not there yet is as good as an empty one; `init` says what is wrong where it cannot make it.
    if (isStorageError(error) && error.code === 'STORAGE_BUCKET_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Makes the repository of what the storage holds. */
export async function attachStored(
  session: Session,
  { url, chosen }: { readonly url: string; readonly chosen: TimelineListing },
): Promise<void> {
  refuseNewClusterFlags(session, `${url} holds tenant ${chosen.tenantId} already`);
  session.output.note(`attaching tenant ${chosen.tenantId}, timeline ${chosen.timelineId}`);
  await createRepository(session, {
    storageDest: await savedStorageDest(session, url),
    tenantId: chosen.tenantId,
    timelineId: chosen.timelineId,
    postgresMajor: chosen.index?.postgresMajor ?? 0,
  });
}

async function assertSameStorage(session: Session, config: RepositoryConfig, given: string): Promise<void> {
  const wanted = await savedStorageDest(session, given);
  if (wanted === config.storage_dest) return;
  throw new CliError(
    'CLI_OTHER_STORAGE_DEST',
    'start',
    `the repository here keeps its cluster in ${config.storage_dest}, not in ${wanted}; leave --storage_dest out, or choose another directory with -D`,
    { storageDest: config.storage_dest, given: wanted },
  );
}

function refuseNewClusterFlags({ args }: Session, why: string): void {
  const flag = NEW_CLUSTER_FLAGS.find((name) => args.has(name));
  if (flag !== undefined) throw usageError(`--${flag} is for a new cluster, but ${why}; leave it out`);
}

/** What is to be attached; undefined where the storage holds no tenant. */
async function findTimeline(session: Session, url: string): Promise<TimelineListing | undefined> {
  await using storage = await openLocation(session, url, { role: 'storage', access: 'read' });
  const { listTimelines } = await loadNeonFormat();
  const { args, signal } = session;
  const tenantId = args.id('tenant_id');
  const all = (await listTimelines(storage, { signal })).filter((each) => each.index !== undefined);
  const tenants = [...new Set(all.map((each) => each.tenantId))];
  if (tenantId !== undefined && !tenants.includes(tenantId) && tenants.length > 0)
    throw usageError(`${storage.url} holds no tenant ${tenantId}; there are: ${tenants.join(', ')}`);
  const chosen = tenantId ?? tenants[0];
  if (chosen === undefined || tenants.length === 0) return undefined;
  if (tenantId === undefined && tenants.length > 1)
    throw usageError(`${storage.url} holds several tenants (${tenants.join(', ')}); choose with --tenant_id`);
  const timelines = all.filter((each) => each.tenantId === chosen && each.state === 'ready');
  return chooseTimeline(storage, timelines, { tenantId: chosen, given: args.id('timeline'), signal });
}

/** The one that was asked for, else the branch main, else the only one that comes from no other. */
async function chooseTimeline(
  storage: Storage,
  timelines: readonly TimelineListing[],
  choice: {
    readonly tenantId: string;
    readonly given: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<TimelineListing> {
  const { tenantId, given, signal } = choice;
  const main = given ?? (await openRefs({ storage, tenantId }).branches.get(MAIN, { signal }))?.timelineId;
  const roots = timelines.filter((each) => each.index?.ancestorTimelineId === undefined);
  const found =
    main === undefined
      ? roots.length === 1
        ? roots[0]
        : undefined
      : timelines.find((each) => each.timelineId === main);
  if (found !== undefined) return found;
  const ids = timelines.map((each) => each.timelineId).join(', ');
  throw usageError(
    given === undefined
      ? `tenant ${tenantId} has several timelines (${ids}); choose with --timeline`
      : `tenant ${tenantId} has no timeline ${given}; there are: ${ids}`,
  );
}
