import { repositoryPaths } from '@neon-snapshot/repository';
import { directoryOf, type TimelineChoice } from '../repository.ts';
import type { Session } from '../session.ts';

/** Has the page server of the repository, where one runs, bring all of a timeline's WAL into storage, from where it is read next. */
export async function pushWhatRuns(session: Session, timeline: TimelineChoice): Promise<void> {
  const { tenantId, timelineId } = timeline;
  // Another bucket than the repository's.
  if (session.args.has('storage_dest') || tenantId === undefined || timelineId === undefined) return;
  const { findPageServer, pushTimeline } = await import('@neon-snapshot/pageserver-runner');
  const found = await findPageServer(repositoryPaths(directoryOf(session)));
  if (found?.running !== true || found.state.engine !== 'embedded' || found.state.tenantId !== tenantId)
    return;
  await pushTimeline(found.state, { tenantId, timelineId }, { what: 'tail', signal: session.signal });
}
