import { mkdir } from 'node:fs/promises';
import type { RepositoryPaths } from '@neon-snapshot/repository';
import { RunnerError } from '../runner-error.ts';
import { endpointPaths } from './endpoint-paths.ts';
import { type Endpoint, findEndpoint, writeEndpointState } from './endpoint-state.ts';
import { freePort } from './ports.ts';

export interface CreateEndpointOptions {
  readonly repository: RepositoryPaths;
  readonly name: string;
  readonly timelineId: string;
  readonly postgresMajor: number;
  /** Default: a free one, which the endpoint keeps. */
  readonly port?: number | undefined;
}

/** Makes an endpoint, which its first start fills. Throws `RUNNER_ENDPOINT_EXISTS`, `RUNNER_ENDPOINT_NAME`. */
export async function createEndpoint(options: CreateEndpointOptions): Promise<Endpoint> {
  const { repository, name, timelineId, postgresMajor } = options;
  const paths = endpointPaths(repository, name);
  const existing = await findEndpoint(repository, name);
  if (existing !== undefined)
    throw new RunnerError({
      code: 'RUNNER_ENDPOINT_EXISTS',
      operation: 'create endpoint',
      message: `there is an endpoint ${name} already, on timeline ${existing.timelineId}; choose another name`,
      context: { name, timelineId: existing.timelineId },
    });
  await mkdir(paths.directory, { recursive: true, mode: 0o755 });
  const port = options.port ?? (await freePort());
  await writeEndpointState(paths, { name, timelineId, postgresMajor, port });
  return { name, timelineId, postgresMajor, port, paths, pid: undefined };
}
