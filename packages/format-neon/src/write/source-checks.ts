/** What a snapshot has to be so that Neon's format can hold it; all of it is checked before anything is written. */
import { FormatError, type PlannedFile, type SnapshotDescription } from '@neon-snapshot/format-core';
import { BLCKSZ } from '@neon-snapshot/postgres';
import type { KeyPlan } from './key-plan.ts';

/** Majors that a Neon page server knows. */
export const NEON_MAJORS: readonly number[] = [14, 15, 16, 17];

const WAL_SEGMENT_BYTES = 16 * 1024 * 1024;
const NAMED_PATHS_MAX = 10;

/** Throws `FORMAT_UNSUPPORTED`; returns the plan, which has to be there. */
export function assertHoldable({ info, plan }: SnapshotDescription): readonly PlannedFile[] {
  if (!NEON_MAJORS.includes(info.postgresMajor)) {
    throw unsupported(
      `a cluster of Postgres ${info.postgresMajor}; supported majors are ${NEON_MAJORS.join(', ')}`,
    );
  }
  if (info.blockSizeBytes !== BLCKSZ) {
    throw unsupported(`blocks of ${info.blockSizeBytes} bytes; only ${BLCKSZ} are supported`);
  }
  if (info.walSegmentSizeBytes !== WAL_SEGMENT_BYTES) {
    throw unsupported(
      `WAL segments of ${info.walSegmentSizeBytes} bytes; only ${WAL_SEGMENT_BYTES} are supported (pg_resetwal --wal-segsize=16 changes it)`,
    );
  }
  if (info.tablespaces.length > 0) {
    const names = info.tablespaces.map(({ oid, location }) => `${oid} (${location})`).join(', ');
    throw unsupported(`user tablespaces: ${names}; move their relations to pg_default first`);
  }
  if (plan === undefined) {
    throw unsupported(
      'a source whose file sizes are not known beforehand; it needs random access or a spool directory',
    );
  }
  return plan;
}

/** What would be lost, one text each; empty when the format holds everything. */
export function describeLoss({
  info,
  plan,
}: {
  readonly info: SnapshotDescription['info'];
  readonly plan: KeyPlan;
}): string[] {
  const losses: string[] = [];
  const { replicationSlots, commitTimestamps } = info.features;
  const { unheld } = plan;
  if (replicationSlots.length > 0) losses.push(`replication slots: ${replicationSlots.join(', ')}`);
  else if (unheld.has('replication slots'))
    losses.push(`replication slots: ${listPaths(unheld.get('replication slots'))}`);
  if (commitTimestamps || unheld.has('commit timestamps')) losses.push('commit timestamps');
  if (unheld.has('statistics')) losses.push(`statistics: ${listPaths(unheld.get('statistics'))}`);
  if (unheld.has('other files')) losses.push(`other files: ${listPaths(unheld.get('other files'))}`);
  return losses;
}

/** Throws `FORMAT_LOSS` naming each loss, unless it is allowed; then each is a warning. */
export function settleLoss(
  losses: readonly string[],
  { allowLoss, warn }: { readonly allowLoss: boolean; readonly warn: (message: string) => void },
): void {
  if (losses.length === 0) return;
  if (allowLoss) {
    for (const loss of losses) warn(`Neon's format can't hold ${loss}; left out`);
    return;
  }
  throw new FormatError({
    code: 'FORMAT_LOSS',
    operation: 'check source',
    message: `Neon's format can't hold ${losses.join('; ')}. With --allow_loss the rest is imported without them`,
    context: { losses: losses.length },
  });
}

function listPaths(paths: readonly string[] = []): string {
  const named = paths.slice(0, NAMED_PATHS_MAX).join(', ');
  return paths.length > NAMED_PATHS_MAX ? `${named} and ${paths.length - NAMED_PATHS_MAX} more` : named;
}

function unsupported(what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'check source',
    message: `Neon's format can't hold ${what}`,
  });
}
