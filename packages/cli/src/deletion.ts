import type { DeletionPlan } from '@neon-snapshot/format-neon';
import type { Storage } from '@neon-snapshot/storage-core';
import { formatBytes } from './output/units.ts';
import type { CommandResult, JsonValue } from './output/writer.ts';
import { loadNeonFormat } from './plugins.ts';
import { storageDestUrl } from './repository.ts';
import type { Session } from './session.ts';

export interface DeletionRequest {
  /** The command in words. */
  readonly command: string;
  /** What would go, for people: `timeline … of tenant …`. */
  readonly subject: string;
  readonly facts: { readonly tenantId: string; readonly [key: string]: JsonValue };
  readonly plan: DeletionPlan;
}

/** Deletes with `--yes`; without it shows what would go and changes nothing. */
export async function deleteOrShow(
  session: Session,
  storage: Storage,
  request: DeletionRequest,
): Promise<CommandResult> {
  const { plan, subject, command } = request;
  const size = `${plan.keys.length} objects, ${formatBytes(plan.bytesTotal)}`;
  const data = {
    storageDest: await storageDestUrl(session),
    ...request.facts,
    objects: plan.keys.length,
    bytes: plan.bytesTotal,
  };
  if (!session.args.boolean('yes')) {
    return {
      command,
      lines: [
        `would delete ${subject} from ${storage.url}: ${size}`,
        'nothing was deleted; to delete it, say --yes',
      ],
      data: { ...data, deleted: false },
    };
  }
  const { executeDeletion } = await loadNeonFormat();
  await asOnlyWriter(session, storage, request.facts.tenantId, () =>
    executeDeletion(storage, plan, { signal: session.signal }),
  );
  return {
    command,
    lines: [`deleted ${subject} from ${storage.url}: ${size}`],
    data: { ...data, deleted: true },
  };
}

/** No page server may be writing what goes; where the storage has no conditional put nobody can tell. */
async function asOnlyWriter(
  { signal }: Session,
  storage: Storage,
  tenantId: string,
  work: () => Promise<void>,
): Promise<void> {
  const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
  if (!ifMatch || !ifNoneMatch) return work();
  const { acquireLease } = await import('@neon-snapshot/repository');
  const directory = `neon-snapshot/${tenantId}`;
  const had = await storage.head(`${directory}/lease.json`, { signal }).then(
    () => true,
    () => false,
  );
  const lease = await acquireLease({ storage, directory, command: 'neon delete', signal });
  try {
    await work();
  } finally {
    // A tenant that never had a lease, as Neon's own have none, is left without one.
    await lease.release({ forget: !had });
  }
}
