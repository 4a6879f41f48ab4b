import { findEndpoint, startEndpoint } from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import { assertNotFollowing } from '../follow/followed-primary.ts';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { dataDirectoryBuilder } from '../server/build-data-directory.ts';
import { connectionStringOf, endpointData } from '../server/describe-endpoint.ts';
import { endpointName } from '../server/endpoint-name.ts';
import type { Session } from '../session.ts';

/** `neon endpoint start [NAME]`: its data directory is built from storage where the one there does not continue the timeline. */
export async function run(session: Session): Promise<CommandResult> {
  const { args, signal } = session;
  const config = await requiredRepository(session);
  const repository = repositoryPaths(directoryOf(session));
  const name = endpointName(args);
  const known = await findEndpoint(repository, name);
  if (known !== undefined) await assertNotFollowing(repository, known.timelineId);
  const { endpoint, wasRunning, reused } = await startEndpoint({
    repository,
    name,
    build: dataDirectoryBuilder(session, config),
    port: args.integer('port'),
    onNote: (message) => session.output.note(message),
    signal,
  });
  const how = wasRunning
    ? 'was running already'
    : reused
      ? 'started'
      : 'started on a data directory built from storage';
  return {
    command: 'endpoint start',
    lines: [
      `endpoint ${endpoint.name} ${how}, pid ${endpoint.pid}`,
      `connect  ${connectionStringOf(endpoint)}`,
    ],
    data: { ...endpointData(endpoint), wasRunning, reused },
  };
}
