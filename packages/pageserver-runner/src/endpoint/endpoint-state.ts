/** `.neon/endpoints/NAME/endpoint.json`: what an endpoint is, whether it runs or not. */
import { readdir } from 'node:fs/promises';
import { isServerRunning, readPostmasterPid } from '@neon-snapshot/postgres-process';
import { type RepositoryPaths, writeFileAtomic } from '@neon-snapshot/repository';
import type { Durability } from '../page-server-state.ts';
import { RunnerError } from '../runner-error.ts';
import { encodeState, readState } from '../state-file.ts';
import { type EndpointPaths, endpointPaths } from './endpoint-paths.ts';

export interface EndpointState {
  readonly name: string;
  readonly timelineId: string;
  readonly postgresMajor: number;
  /** On 127.0.0.1, and in the name of the socket. */
  readonly port: number;
  /** The bootstrap superuser; known once the data directory was built. */
  readonly superuser?: string;
  /** Holds the socket; short enough for one. */
  readonly socketDirectory?: string;
  /** Where the timeline's next record started when the data directory was built from it. */
  readonly builtAt?: string;
  /** What its last start promised of commits. */
  readonly durability?: Durability;
}

/** An endpoint as it is now. */
export interface Endpoint extends EndpointState {
  readonly paths: EndpointPaths;
  /** Of its postmaster, while it runs. */
  readonly pid: number | undefined;
}

export async function writeEndpointState(paths: EndpointPaths, state: EndpointState): Promise<void> {
  const { name, timelineId, postgresMajor, port, superuser, socketDirectory, builtAt, durability } = state;
  const facts = { name, timelineId, postgresMajor, port, superuser, socketDirectory, builtAt, durability };
  await writeFileAtomic({ path: paths.stateFile, text: encodeState(facts) });
}

export async function findEndpoint(repository: RepositoryPaths, name: string): Promise<Endpoint | undefined> {
  const paths = endpointPaths(repository, name);
  const state = await readState<EndpointState>({
    path: paths.stateFile,
    isWhole,
    remedy: `remove ${paths.directory} while its Postgres is stopped and make the endpoint anew: its data are in storage_dest`,
  });
  if (state === undefined) return undefined;
  const isRunning = await isServerRunning(paths.dataDirectory);
  const pid = isRunning ? (await readPostmasterPid(paths.dataDirectory))?.pid : undefined;
  return { ...state, paths, pid };
}

/** Throws `RUNNER_ENDPOINT_NOT_FOUND`, which lists those that there are. */
export async function requireEndpoint(repository: RepositoryPaths, name: string): Promise<Endpoint> {
  const endpoint = await findEndpoint(repository, name);
  if (endpoint !== undefined) return endpoint;
  const names = (await listEndpoints(repository)).map((each) => each.name);
  const known = names.length === 0 ? 'there is none yet' : `there are: ${names.join(', ')}`;
  throw new RunnerError({
    code: 'RUNNER_ENDPOINT_NOT_FOUND',
    operation: 'find endpoint',
    message: `there is no endpoint ${name} in ${repository.directory} (${known}); make it with neon endpoint create ${name}`,
    context: { name, directory: repository.directory },
  });
}

/** Every endpoint of a repository, by name. */
export async function listEndpoints(repository: RepositoryPaths): Promise<Endpoint[]> {
  const names = await readdir(repository.endpointsDirectory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const found: Endpoint[] = [];
  for (const name of names.sort()) {
    if (name.startsWith('.')) continue;
    const endpoint = await findEndpoint(repository, name);
    if (endpoint !== undefined) found.push(endpoint);
  }
  return found;
}

function isWhole(state: EndpointState): boolean {
  return (
    [state.name, state.timelineId].every((each) => typeof each === 'string') &&
    [state.postgresMajor, state.port].every(Number.isSafeInteger) &&
    [state.superuser, state.socketDirectory, state.builtAt, state.durability].every(
      (each) => each === undefined || typeof each === 'string',
    )
  );
}
