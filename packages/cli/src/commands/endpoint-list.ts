import { listEndpoints } from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import { formatTable } from '../output/table.ts';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { endpointData } from '../server/describe-endpoint.ts';
import type { Session } from '../session.ts';

/** `neon endpoint list`. */
export async function run(session: Session): Promise<CommandResult> {
  await requiredRepository(session);
  const endpoints = await listEndpoints(repositoryPaths(directoryOf(session)));
  const rows = endpoints.map((each) => [
    each.name,
    each.timelineId,
    String(each.postgresMajor),
    String(each.port),
    each.pid === undefined ? 'stopped' : `running, pid ${each.pid}`,
  ]);
  return {
    command: 'endpoint list',
    lines:
      rows.length === 0
        ? ['no endpoint yet; neon start makes the endpoint main']
        : formatTable(['NAME', 'TIMELINE', 'POSTGRES', 'PORT', 'STATE'], rows),
    data: { endpoints: endpoints.map(endpointData) },
  };
}
