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
  readonly facts: { readonly [key: string]: JsonValue };
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
  await executeDeletion(storage, plan, { signal: session.signal });
  return {
    command,
    lines: [`deleted ${subject} from ${storage.url}: ${size}`],
    data: { ...data, deleted: true },
  };
}
