import {
  callPageServer,
  listEndpoints,
  requirePageServer,
  timelinePath,
} from '@neon-snapshot/pageserver-runner';
import { openRefs, repositoryPaths } from '@neon-snapshot/repository';
import { usageError } from '../cli-error.ts';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { openStorageOf, resolveBranch } from '../server/branches.ts';
import type { Session } from '../session.ts';

/** `neon branch delete NAME`: the timeline and its name; nothing else is made from it, and no endpoint here uses it. */
export async function run(session: Session): Promise<CommandResult> {
  const { args, signal } = session;
  const config = await requiredRepository(session);
  const paths = repositoryPaths(directoryOf(session));
  const branch = await resolveBranch(session, config, args.requiredString('name'));
  const { timelineId } = branch;
  if (timelineId === config.timeline_id)
    throw usageError(
      `${args.string('name')} is the branch of this repository; delete the tenant with neon tenant delete`,
    );
  const used = (await listEndpoints(paths)).find(
    (each) => each.timelineId === timelineId && each.pid !== undefined,
  );
  if (used !== undefined)
    throw usageError(
      `endpoint ${used.name} runs on this branch; stop it with neon endpoint stop ${used.name}`,
    );
  const facts = { name: branch.name ?? null, timelineId };
  if (!args.boolean('yes'))
    return {
      command: 'branch delete',
      lines: [`would delete branch ${branch.name ?? ''} (timeline ${timelineId}); add --yes to do it`],
      data: { ...facts, deleted: false },
    };
  const server = await requirePageServer(paths);
  await callPageServer(server, {
    method: 'DELETE',
    path: timelinePath({ tenantId: config.tenant_id, timelineId }),
    signal,
  });
  if (branch.name !== undefined) {
    await using storage = await openStorageOf(session, config, 'write');
    await openRefs({ storage, tenantId: config.tenant_id }).branches.remove(branch.name, { signal });
  }
  return {
    command: 'branch delete',
    lines: [`deleted branch ${branch.name ?? timelineId}`],
    data: { ...facts, deleted: true },
  };
}
