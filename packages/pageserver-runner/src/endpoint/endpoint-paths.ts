import { join } from 'node:path';
import type { RepositoryPaths } from '@neon-snapshot/repository';
import { RunnerError } from '../runner-error.ts';

/** Where the parts of one endpoint live; all absolute. */
export interface EndpointPaths {
  readonly directory: string;
  readonly stateFile: string;
  readonly lockFile: string;
  readonly dataDirectory: string;
  /** Passwords of its roles, for libpq; mode 0600. */
  readonly passfile: string;
  /** Configuration of ours, which includes the cluster's own. */
  readonly configFile: string;
  readonly hbaFile: string;
  readonly logFile: string;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** Throws `RUNNER_ENDPOINT_NAME`. */
export function endpointPaths(paths: RepositoryPaths, name: string): EndpointPaths {
  if (!NAME.test(name))
    throw new RunnerError({
      code: 'RUNNER_ENDPOINT_NAME',
      operation: 'name endpoint',
      message: `${JSON.stringify(name)} is no name of an endpoint: letters, digits, _ and -, at most 63, the first a letter or digit`,
      context: { name },
    });
  const directory = join(paths.endpointsDirectory, name);
  return {
    directory,
    stateFile: join(directory, 'endpoint.json'),
    lockFile: join(directory, 'lock'),
    dataDirectory: join(directory, 'pgdata'),
    passfile: join(directory, 'passfile'),
    configFile: join(directory, 'postgresql.conf'),
    hbaFile: join(directory, 'pg_hba.conf'),
    logFile: join(paths.logsDirectory, `endpoint-${name}.log`),
  };
}
