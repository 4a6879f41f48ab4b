import { pushTimeline } from '@neon-snapshot/pageserver-runner';
import type { CommandResult } from '../output/writer.ts';
import { requiredRepository } from '../repository.ts';
import { listTimelinesOf, runningPageServer } from '../server/branches.ts';
import { openPageServerProcess } from '../server/page-server-process.ts';
import type { Session } from '../session.ts';

/** `neon storage flush`: no raw WAL stays ahead of the layers, of any branch. */
export async function run(session: Session): Promise<CommandResult> {
  const config = await requiredRepository(session);
  const running = await runningPageServer(session);
  if (running === undefined) {
    // Opening recovers the WAL that is there, closing pushes everything.
    const onNote = (message: string) => session.output.note(message);
    await using _server = await openPageServerProcess(session, { command: 'neon storage flush', onNote });
  }
  const timelines = await listTimelinesOf(session, config);
  if (running !== undefined)
    for (const { timelineId } of timelines)
      await pushTimeline(
        running,
        { tenantId: config.tenant_id, timelineId },
        { what: 'layers', signal: session.signal },
      );
  return {
    command: 'storage flush',
    lines: [`${config.storage_dest} holds everything in layers: ${timelines.length} timelines`],
    data: { storageDest: config.storage_dest, timelines: timelines.map((each) => each.timelineId) },
  };
}
