/** Names of snapshots beside a tenant: they pin an LSN, which garbage collection keeps readable. */
import { FormatError } from '@neon-snapshot/format-core';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { isRepositoryError, openRefs } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';

export interface NamedSnapshot {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
}

export interface SnapshotRequest {
  readonly name: string;
  /** Where it is looked for. */
  readonly tenantIds: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** What a name stands for. Throws `FORMAT_NOT_FOUND`, `FORMAT_AMBIGUOUS`, and `FORMAT_OPTION` for what is no name. */
export async function findSnapshot(storage: Storage, request: SnapshotRequest): Promise<NamedSnapshot> {
  const { name, tenantIds, signal } = request;
  const found: NamedSnapshot[] = [];
  for (const tenantId of tenantIds) {
    const { snapshots } = openRefs({ storage, tenantId });
    const ref = await translatingRefs(() => snapshots.get(name, { signal }));
    if (ref !== undefined) found.push({ tenantId, timelineId: ref.timelineId, lsn: lsn(ref.lsn) });
  }
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only;
  const where = found.map(({ tenantId }) => `--tenant_id=${tenantId}`).join(' or ');
  throw new FormatError({
    code: only === undefined ? 'FORMAT_NOT_FOUND' : 'FORMAT_AMBIGUOUS',
    operation: 'find snapshot',
    message:
      only === undefined
        ? `${storage.url} has no snapshot of the name ${name}`
        : `${storage.url} has several snapshots of the name ${name}; choose one: ${where}`,
    context: { snapshot: name },
  });
}

/** Whether a snapshot's name keeps an LSN readable that lies before the GC cutoff. */
export async function isPinned(
  storage: Storage,
  { tenantId, timelineId, lsn: at }: NamedSnapshot,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { snapshots } = openRefs({ storage, tenantId });
  const named = await translatingRefs(() => snapshots.list({ signal }));
  return named.some((each) => each.timelineId === timelineId && each.lsn === at);
}

/** A name that cannot be one is the caller's fault, a record that cannot be read the storage's. */
async function translatingRefs<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isRepositoryError(error)) throw error;
    const code = error.code === 'REPOSITORY_REF_NAME' ? 'FORMAT_OPTION' : 'FORMAT_INVALID';
    throw new FormatError({ code, operation: error.operation, message: error.message, cause: error });
  }
}
