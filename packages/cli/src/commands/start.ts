import {
  describeEnd,
  findPageServer,
  type PageServerState,
  type StartedEndpoint,
  startPageServer,
} from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import { usageError } from '../cli-error.ts';
import { endFollowing, followPrimary, prepareFollowing } from '../follow/follow-primary.ts';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf } from '../repository.ts';
import { connectionStringOf, endpointData } from '../server/describe-endpoint.ts';
import { durabilityText } from '../server/durability-text.ts';
import { ensureRepository } from '../server/ensure-repository.ts';
import { pageServerData } from '../server/page-server-data.ts';
import { pageServerWords } from '../server/page-server-flags.ts';
import { type StartPlace, startMain } from '../server/start-main.ts';
import type { Session } from '../session.ts';

/** `neon start`: the page server of the repository, which is made where there is none, and the endpoint main. */
export async function run(session: Session): Promise<CommandResult> {
  assertEngine(session);
  await assertServable(session);
  const followed = await prepareFollowing(session);
  const config = await ensureRepository(session);
  const paths = repositoryPaths(directoryOf(session));
  if (session.args.boolean('foreground') && session.args.string('engine') !== 'neon') {
    const { runInForeground } = await import('../server/foreground.ts');
    return runInForeground(session, { config, paths });
  }
  const { state, wasRunning } = await startServer(session, { config, paths });
  if (state.engine === 'neon') return describeNeon(state, wasRunning);
  if (followed !== undefined) {
    const following = { state, wasRunning, followed };
    if (!session.args.boolean('unfollow')) return followPrimary(session, following);
    await endFollowing(session, following);
  }
  const started = await startMain(session, { config, paths });
  return describe({ state, wasRunning, started });
}

/** Before anything is made: the account that Postgres runs as has to get to its files. */
async function assertServable(session: Session): Promise<void> {
  if (session.args.string('engine') === 'neon') return;
  const { assertReachable, unprivilegedUser } = await import('@neon-snapshot/postgres-process');
  await assertReachable(repositoryPaths(directoryOf(session)).endpointsDirectory, unprivilegedUser());
}

/** Who asks for `remote` must not go away with `local`. */
function assertSameDurability({ args }: Session, { durability }: PageServerState): void {
  const asked = args.string('durability');
  if (asked === undefined || asked === durability) return;
  throw usageError(
    `the page server runs with --durability=${durability} already; neon stop, then start it with ${asked}`,
  );
}

function assertEngine({ args }: Session): void {
  const isNeon = args.string('engine') === 'neon';
  if (isNeon && !args.has('pageserver_bin'))
    throw usageError("--engine=neon needs --pageserver_bin=PATH: Neon's page server program");
  if (!isNeon && args.has('pageserver_bin'))
    throw usageError('--pageserver_bin is for --engine=neon; add that or leave it out');
}

/**
 * V8 begins with a young generation of 1 MiB, which pages and pieces of WAL fill at once: collecting it was half of the CPU time of
 * serving pages. Beginning with 16 MiB, up to which it may grow anyway, the same pages take two fifths less (bench: `--only server`).
 */
const NODE_FLAGS = ['--min-semi-space-size=16'] as const;

async function startServer(
  session: Session,
  { paths, config }: StartPlace,
): Promise<{ readonly state: PageServerState; readonly wasRunning: boolean }> {
  const found = await findPageServer(paths);
  if (found?.running) {
    assertSameDurability(session, found.state);
    return { state: found.state, wasRunning: true };
  }
  if (found !== undefined) session.output.note(`no page server runs: ${describeEnd(found.state)}`);
  session.output.note(`starting the page server on ${config.storage_dest}`);
  const [node, ...main] = session.program;
  const words = [
    'pageserver',
    '-D',
    paths.directory,
    ...pluginWords(session),
    ...pageServerWords(session.args),
  ];
  const state = await startPageServer({
    paths,
    command: [node, ...NODE_FLAGS, ...main, ...words],
    env: session.env,
    currentDirectory: session.currentDirectory,
    onNote: (message) => session.output.note(message),
    signal: session.signal,
  });
  return { state, wasRunning: false };
}

function pluginWords({ args }: Session): string[] {
  return args.list('plugin').map((name) => `--plugin=${name}`);
}

/** Neon's page server takes WAL from safekeepers only, so no stock Postgres can be its endpoint. */
function describeNeon(state: PageServerState, wasRunning: boolean): CommandResult {
  return {
    command: 'start',
    lines: [
      `page server  Neon's, pid ${state.pid}, ${wasRunning ? 'already running' : 'started'}, generation ${state.generation}, HTTP ${state.host}:${state.httpPort}, pages ${state.host}:${state.pgPort}`,
      `storage      ${state.storageDest}`,
      'endpoint     none: it takes WAL from safekeepers only',
    ],
    data: { wasRunning, pageserver: pageServerData(state), endpoints: [] },
  };
}

interface Outcome {
  readonly state: PageServerState;
  readonly wasRunning: boolean;
  readonly started: StartedEndpoint;
}

function describe({ state, wasRunning, started }: Outcome): CommandResult {
  const { endpoint } = started;
  return {
    command: 'start',
    lines: [
      `page server  pid ${state.pid}, ${wasRunning ? 'already running' : 'started'}, generation ${state.generation}, HTTP ${state.host}:${state.httpPort}, pages ${state.host}:${state.pgPort}`,
      `storage      ${state.storageDest}`,
      `durability   ${durabilityText(state)}`,
      `endpoint     ${endpoint.name}, Postgres ${endpoint.postgresMajor}, pid ${endpoint.pid}, ${startedText(started)}`,
      `connect      ${connectionStringOf(endpoint)}`,
    ],
    data: {
      wasRunning,
      pageserver: pageServerData(state),
      endpoints: [{ ...endpointData(endpoint), wasRunning: started.wasRunning, reused: started.reused }],
    },
  };
}

function startedText({ wasRunning, reused }: StartedEndpoint): string {
  if (wasRunning) return 'already running';
  return reused ? 'on its data directory' : 'on a data directory built from storage';
}
