import { firstReadableLsn, loadTimeline, UNSHARDED } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError } from '../cli-error.ts';
import type { CommandResult } from '../output/writer.ts';
import { requiredRepository } from '../repository.ts';
import { openStorageOf, resolveBranch } from '../server/branches.ts';
import { pointInTimeline } from '../server/point-in-timeline.ts';
import type { Session } from '../session.ts';

/** `neon snapshot create NAME`: an LSN gets a name, and stays readable as long as it has one. */
export async function run(session: Session): Promise<CommandResult> {
  const { args, signal } = session;
  const name = args.requiredString('name');
  const config = await requiredRepository(session);
  const { timelineId } = await resolveBranch(session, config, args.string('branch'));
  const lsn = await pointInTimeline(session, config, timelineId);
  await using storage = await openStorageOf(session, config, 'write');
  const refs = openRefs({ storage, tenantId: config.tenant_id });
  const point: Point = { tenantId: config.tenant_id, timelineId, lsn, signal };
  // Never is there a name for what is gone already.
  const keptBy = await namesThatKeep(storage, point);
  await assertKept(storage, point, keptBy);
  const made = await refs.snapshots.create(name, { timelineId, lsn }, { signal });
  try {
    const stillKeptBy = await namesThatKeep(storage, point);
    await assertKept(
      storage,
      point,
      keptBy.filter((each) => stillKeptBy.includes(each)),
    );
  } catch (error) {
    await refs.snapshots.remove(name).catch(() => undefined);
    throw error;
  }
  return {
    command: 'snapshot create',
    lines: [
      `snapshot ${name} at ${formatLsn(lsn)} of timeline ${timelineId}`,
      `read it  neon export --snapshot=${name} --snapshot_path=DIRECTORY`,
    ],
    data: { name, timelineId, lsn: formatLsn(lsn), createdAt: made.createdAt.toISOString() },
  };
}

interface Point {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
  readonly signal: AbortSignal;
}

/** Names that keep the point already. */
async function namesThatKeep(
  storage: Storage,
  { tenantId, timelineId, lsn, signal }: Point,
): Promise<readonly string[]> {
  const named = await openRefs({ storage, tenantId }).snapshots.list({ signal });
  return named.filter((each) => each.timelineId === timelineId && each.lsn === lsn).map(({ name }) => name);
}

/**
 * Garbage collection that looked at the names before the new one was there may have gone past it, unless another name, `keptBy`, has kept the
 * point all the time.
 */
async function assertKept(storage: Storage, point: Point, keptBy: readonly string[]): Promise<void> {
  const { tenantId, timelineId, lsn, signal } = point;
  const tenant = { tenantId, shard: UNSHARDED };
  const first = firstReadableLsn(await loadTimeline(storage, { tenant, timelineId, signal }));
  if (first <= lsn || keptBy.length > 0) return;
  throw new CliError(
    'CLI_LSN_COLLECTED',
    'snapshot create',
    `${formatLsn(lsn)} of timeline ${timelineId} is not readable any more; the first that is: ${formatLsn(first)}`,
    { timelineId, lsn: formatLsn(lsn), firstReadable: formatLsn(first) },
  );
}
