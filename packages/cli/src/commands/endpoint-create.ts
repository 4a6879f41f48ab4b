import { createEndpoint } from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { resolveBranch } from '../server/branches.ts';
import { endpointData } from '../server/describe-endpoint.ts';
import type { Session } from '../session.ts';

/** `neon endpoint create NAME`: a Postgres on a branch, to be started. */
export async function run(session: Session): Promise<CommandResult> {
  const { args } = session;
  const config = await requiredRepository(session);
  const { timelineId } = await resolveBranch(session, config, args.string('branch'));
  const endpoint = await createEndpoint({
    repository: repositoryPaths(directoryOf(session)),
    name: args.requiredString('name'),
    timelineId,
    postgresMajor: config.pg_version,
    port: args.integer('port'),
  });
  return {
    command: 'endpoint create',
    lines: [
      `endpoint ${endpoint.name} on timeline ${timelineId}, Postgres ${endpoint.postgresMajor}, port ${endpoint.port}`,
      `next  neon endpoint start ${endpoint.name}`,
    ],
    data: endpointData(endpoint),
  };
}
