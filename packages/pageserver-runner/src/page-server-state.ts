/** `.neon/pageserver.json`: what is known of a page server that runs. */
import { readFile, rm } from 'node:fs/promises';
import { isProcessRunning, type RepositoryPaths, writeFileAtomic } from '@neon-snapshot/repository';
import { RunnerError } from './runner-error.ts';

const STATE_VERSION = 1;

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
    text: `${JSON.stringify({ version: STATE_VERSION, ...state }, undefined, 2)}\n`,
    mode: 0o600,
  });
}

/** Removes the file if it still speaks of this process. */
export async function removePageServerState(paths: RepositoryPaths, pid: number): Promise<void> {
  const state = await readState(paths);
  if (state?.pid === pid) await rm(paths.pageServerFile, { force: true });
}

export interface FoundPageServer {
  readonly state: PageServerState;
  /** False: it ended by itself, crashed or was killed, and left the file behind. */
  readonly running: boolean;
}

/** The page server of a repository; undefined where none was started or the last one stopped in order. */
export async function findPageServer(paths: RepositoryPaths): Promise<FoundPageServer | undefined> {
  const state = await readState(paths);
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

async function readState(paths: RepositoryPaths): Promise<PageServerState | undefined> {
  const text = await readFile(paths.pageServerFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const state = parseState(text);
  if (state !== undefined) return state;
  throw new RunnerError({
    code: 'RUNNER_STATE_INVALID',
    operation: 'read state',
    message: `${paths.pageServerFile} is not what a page server of this version writes; if none runs, remove it`,
    context: { path: paths.pageServerFile },
  });
}

function parseState(text: string): PageServerState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const state = value as PageServerState & { readonly version: unknown };
  const isWhole =
    state.version === STATE_VERSION &&
    [state.pid, state.pgPort, state.httpPort, state.generation, state.pushIntervalMs].every(
      Number.isSafeInteger,
    ) &&
    [state.processIdentity, state.host, state.startedAt, state.tenantId, state.storageDest].every(
      (each) => typeof each === 'string',
    ) &&
    ['embedded', 'neon'].includes(state.engine) &&
    ['local', 'remote'].includes(state.durability) &&
    (state.ended === undefined ||
      [state.ended.at, state.ended.code, state.ended.message].every((each) => typeof each === 'string'));
  return isWhole ? state : undefined;
}
