/** `.neon/pageserver.json`: what is known of a page server that runs. */
import { rm } from 'node:fs/promises';
import { isProcessRunning, type RepositoryPaths, writeFileAtomic } from '@neon-snapshot/repository';
import { RunnerError } from './runner-error.ts';
import { encodeState, readState } from './state-file.ts';

export type Durability = 'local' | 'remote';

export interface PageServerState {
  readonly pid: number;
  /** What tells it from a later process of that number; empty on systems without it. */
  readonly processIdentity: string;
  /** `embedded`: our own; `neon`: Neon's program. */
  readonly engine: 'embedded' | 'neon';
  readonly host: string;
  /** Of the page service, which speaks libpq. */
  readonly pgPort: number;
  readonly httpPort: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly tenantId: string;
  readonly storageDest: string;
  /** Of everything that it writes. */
  readonly generation: number;
  readonly durability: Durability;
  readonly pushIntervalMs: number;
  /** Why it ended by itself, as when another one took the storage over. */
  readonly ended?: PageServerEnd | undefined;
}

export type PageServerEnd = {
  /** ISO 8601. */
  readonly at: string;
  readonly code: string;
  readonly message: string;
};

/** Written by the page server's own process once it listens. */
export async function writePageServerState(paths: RepositoryPaths, state: PageServerState): Promise<void> {
  await writeFileAtomic({
    path: paths.pageServerFile,
    text: encodeState(state),
    mode: 0o600,
  });
}

/** Removes the file if it still speaks of this process. */
export async function removePageServerState(paths: RepositoryPaths, pid: number): Promise<void> {
  const state = await readPageServerState(paths);
  if (state?.pid === pid) await rm(paths.pageServerFile, { force: true });
}

export interface FoundPageServer {
  readonly state: PageServerState;
  /** False: it ended by itself, crashed or was killed, and left the file behind. */
  readonly running: boolean;
}

/** The page server of a repository; undefined where none was started or the last one stopped in order. */
export async function findPageServer(paths: RepositoryPaths): Promise<FoundPageServer | undefined> {
  const state = await readPageServerState(paths);
  if (state === undefined) return undefined;
  const running = await isProcessRunning({ pid: state.pid, identity: state.processIdentity });
  return { state, running };
}

/** Throws `RUNNER_NOT_RUNNING` where no page server runs. */
export async function requirePageServer(paths: RepositoryPaths): Promise<PageServerState> {
  const found = await findPageServer(paths);
  if (found?.running && found.state.ended === undefined) return found.state;
  throw new RunnerError({
    code: 'RUNNER_NOT_RUNNING',
    operation: 'find page server',
    message: `no page server runs for ${paths.directory}${found === undefined ? '' : ` (${describeEnd(found.state)})`}; start it with neon start`,
    context: { directory: paths.directory },
  });
}

/** One clause about a page server that is not running any more. */
export function describeEnd({ pid, ended }: PageServerState): string {
  if (ended === undefined) return `the last one, pid ${pid}, ended without a proper stop`;
  return `the last one, pid ${pid}, ended at ${ended.at}: ${ended.message}`;
}

function readPageServerState({ pageServerFile }: RepositoryPaths): Promise<PageServerState | undefined> {
  return readState<PageServerState>({
    path: pageServerFile,
    isWhole,
    remedy: 'if no page server runs, remove it',
  });
}

function isWhole(state: PageServerState): boolean {
  return (
    [state.pid, state.pgPort, state.httpPort, state.generation, state.pushIntervalMs].every(
      Number.isSafeInteger,
    ) &&
    [state.processIdentity, state.host, state.startedAt, state.tenantId, state.storageDest].every(
      (each) => typeof each === 'string',
    ) &&
    ['embedded', 'neon'].includes(state.engine) &&
    ['local', 'remote'].includes(state.durability) &&
    (state.ended === undefined ||
      [state.ended.at, state.ended.code, state.ended.message].every((each) => typeof each === 'string'))
  );
}
