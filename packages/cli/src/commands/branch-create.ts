import { randomBytes } from 'node:crypto';
import { callPageServer, requirePageServer } from '@neon-snapshot/pageserver-runner';
import { openRefs, repositoryPaths } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { openStorageOf, resolveBranch } from '../server/branches.ts';
import { branchStart } from '../server/point-in-timeline.ts';
import type { Session } from '../session.ts';

const TIMELINE_ID_BYTES = 16;

/** `neon branch create NAME`: a new timeline that begins as another one was at some LSN. */
export async function run(session: Session): Promise<CommandResult> {
  const { args, signal } = session;
  const name = args.requiredString('name');
  const config = await requiredRepository(session);
  const server = await requirePageServer(repositoryPaths(directoryOf(session)));
  const parent = await resolveBranch(session, config, args.string('from'));
  const start = branchStart(args);
  const timelineId = randomBytes(TIMELINE_ID_BYTES).toString('hex');
  await using storage = await openStorageOf(session, config, 'write');
  const { branches } = openRefs({ storage, tenantId: config.tenant_id });
  // The name first: of two that want it, the other one makes no timeline.
  await branches.create(name, { timelineId }, { signal });
  let made: Readonly<Record<string, unknown>>;
  try {
    made = (await callPageServer(server, {
      method: 'POST',
      path: `/v1/tenant/${config.tenant_id}/timeline`,
      body: { new_timeline_id: timelineId, ancestor_timeline_id: parent.timelineId, ...start },
      signal,
    })) as Readonly<Record<string, unknown>>;
  } catch (error) {
    // Not with the session's signal: an interrupted one has to give the name back too.
    await branches.remove(name).catch(() => undefined);
    throw error;
  }
  const at = String(made.ancestor_lsn);
  return {
    command: 'branch create',
    lines: [
      `branch ${name}: timeline ${timelineId}, from ${parent.name ?? parent.timelineId} at ${at}`,
      `next  neon endpoint create ${name} --branch=${name} && neon endpoint start ${name}`,
    ],
    data: { name, timelineId, ancestorTimelineId: String(made.ancestor_timeline_id), ancestorLsn: at },
  };
}
