import {
  describeEnd,
  findPageServer,
  listEndpoints,
  type PageServerState,
  pageServerLogFile,
} from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import { formatBytes } from '../output/units.ts';
import type { CommandResult, JsonValue } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { connectionStringOf, endpointData } from '../server/describe-endpoint.ts';
import { durabilityText } from '../server/durability-text.ts';
import { pageServerData } from '../server/page-server-data.ts';
import { readTimelineStatus, type TimelineStatus } from '../server/timeline-status.ts';
import type { Session } from '../session.ts';

const ANSWER_TIMEOUT_MS = 10_000;

/** `neon status`: what runs, how to connect, how far the storage is behind. */
export async function run(session: Session): Promise<CommandResult> {
  const config = await requiredRepository(session);
  const paths = repositoryPaths(directoryOf(session));
  const found = await findPageServer(paths);
  const endpoints = await listEndpoints(paths);
  const timelines = found?.running === true ? await timelinesOf(session, found.state) : [];
  const server: { readonly [key: string]: JsonValue } =
    found === undefined
      ? { running: false, pid: null }
      : {
          ...pageServerData(found.state),
          running: found.running,
          pid: found.running ? found.state.pid : null,
        };
  return {
    command: 'status',
    lines: [
      `storage      ${config.storage_dest}`,
      `tenant       ${config.tenant_id}`,
      ...pageServerLines(found, pageServerLogFile(paths)),
      ...timelines.map(timelineLine),
      ...endpoints.map((each) =>
        each.pid === undefined
          ? `endpoint     ${each.name}, stopped, timeline ${each.timelineId}`
          : `endpoint     ${each.name}, pid ${each.pid}, timeline ${each.timelineId}, ${connectionStringOf(each)}`,
      ),
    ],
    data: {
      directory: paths.directory,
      storageDest: config.storage_dest,
      tenantId: config.tenant_id,
      timelineId: config.timeline_id,
      pageserver: { ...server, logFile: pageServerLogFile(paths) },
      timelines: timelines.map((each) => ({ ...each })),
      endpoints: endpoints.map(endpointData),
    },
  };
}

/** A page server that does not answer is no reason to hide the rest. */
async function timelinesOf(session: Session, state: PageServerState): Promise<readonly TimelineStatus[]> {
  const signal = AbortSignal.any([session.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
  try {
    return await readTimelineStatus(state, signal);
  } catch (error) {
    if (session.signal.aborted) throw error;
    session.output.warn(error instanceof Error ? error.message : String(error));
    return [];
  }
}

function pageServerLines(
  found: { readonly state: PageServerState; readonly running: boolean } | undefined,
  logFile: string,
): string[] {
  if (found === undefined) return ['page server  not running'];
  const { state } = found;
  if (!found.running) return [`page server  not running; ${describeEnd(state)}; its log is ${logFile}`];
  return [
    `page server  pid ${state.pid}, generation ${state.generation}, HTTP ${state.host}:${state.httpPort}, pages ${state.host}:${state.pgPort}, since ${state.startedAt}`,
    `durability   ${durabilityText(state)}`,
  ];
}

function timelineLine(timeline: TimelineStatus): string {
  const lag =
    timeline.lagBytes === 0
      ? 'storage has everything'
      : `storage is ${formatBytes(timeline.lagBytes)} behind, since ${timeline.lagSeconds?.toFixed(1) ?? '?'} s`;
  const trouble = timeline.failure === null ? '' : `; the storage fails: ${timeline.failure}`;
  return `timeline     ${timeline.timelineId} at ${timeline.lastRecordLsn}, ${lag}${trouble}, ${timeline.layerCount} layers, ${formatBytes(timeline.layerBytes)}, last push ${timeline.lastPushAt ?? 'none yet'}, WAL source ${timeline.walSource ?? 'none'}`;
}
