import {
  callPageServer,
  pushTimeline,
  readTimelineDetail,
  timelinePath,
} from '@neon-snapshot/pageserver-runner';
import { formatLsn, type Lsn, parseLsn } from '@neon-snapshot/postgres';
import type { RepositoryConfig } from '@neon-snapshot/repository';
import type { ParsedArguments } from '../arguments.ts';
import { CliError, usageError } from '../cli-error.ts';
import type { Session } from '../session.ts';
import { listTimelinesOf, runningPageServer } from './branches.ts';

/** Where a branch leaves its parent, in the words of the HTTP API: at `--lsn`, as of `--time`, else at the end. */
export function branchStart(args: ParsedArguments): {
  readonly ancestor_start_lsn?: string;
  readonly ancestor_start_time?: string;
} {
  const { lsn, time } = assertOnePoint(args);
  if (lsn !== undefined) return { ancestor_start_lsn: formatLsn(parseLsnOption(lsn)) };
  return time === undefined ? {} : { ancestor_start_time: time };
}

/** The LSN that `--lsn` or `--time` names, else the end of the timeline, which is then in storage as layers. */
export async function pointInTimeline(
  session: Session,
  config: RepositoryConfig,
  timelineId: string,
): Promise<Lsn> {
  const { args, signal } = session;
  const { lsn, time } = assertOnePoint(args);
  if (lsn !== undefined) return parseLsnOption(lsn);
  const timeline = { tenantId: config.tenant_id, timelineId };
  const running = await runningPageServer(session);
  if (time !== undefined) {
    if (running === undefined)
      throw usageError('--time needs the page server: start it with neon start, or give --lsn');
    const path = `${timelinePath(timeline)}/get_lsn_by_timestamp?timestamp=${encodeURIComponent(time)}`;
    return lsnOf(await callPageServer(running, { method: 'GET', path, signal }), time);
  }
  if (running === undefined) return storedEnd(session, config, timelineId);
  await pushTimeline(running, timeline, { what: 'layers', signal });
  const { last_record_lsn: end } = await readTimelineDetail(running, timeline, signal);
  return parseLsn(String(end));
}

function assertOnePoint(args: ParsedArguments): {
  readonly lsn: string | undefined;
  readonly time: string | undefined;
} {
  const [lsn, time] = [args.string('lsn'), args.string('time')];
  if (lsn !== undefined && time !== undefined) throw usageError('give --lsn or --time, not both');
  return { lsn, time };
}

function parseLsnOption(text: string): Lsn {
  try {
    return parseLsn(text);
  } catch {
    throw usageError(`--lsn must be an LSN such as 0/1E1D368, found ${text}`);
  }
}

async function storedEnd(session: Session, config: RepositoryConfig, timelineId: string): Promise<Lsn> {
  const found = (await listTimelinesOf(session, config)).find((each) => each.timelineId === timelineId);
  if (found?.index !== undefined) return found.index.endLsn;
  throw new CliError(
    'CLI_BRANCH_NOT_FOUND',
    'find timeline',
    `${config.storage_dest} holds no timeline ${timelineId}`,
    { timelineId },
  );
}

/** `kind`: `present` and `future` name an LSN that has every commit up to the time. */
function lsnOf(answer: unknown, time: string): Lsn {
  const { lsn, kind } = (answer ?? {}) as { readonly lsn?: unknown; readonly kind?: unknown };
  if ((kind === 'present' || kind === 'future') && typeof lsn === 'string') return parseLsn(lsn);
  throw usageError(`the timeline does not reach back to ${time} (${String(kind)}); choose a later time`);
}
