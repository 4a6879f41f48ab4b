import { stopEndpoint } from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { endpointName } from '../server/endpoint-name.ts';
import type { Session } from '../session.ts';

/** `neon endpoint stop [NAME]`. */
export async function run(session: Session): Promise<CommandResult> {
  const { args, signal } = session;
  await requiredRepository(session);
  const name = endpointName(args);
  const outcome = await stopEndpoint({
    repository: repositoryPaths(directoryOf(session)),
    name,
    mode: args.string('mode') === 'immediate' ? 'immediate' : 'fast',
    timeoutMs: args.durationMs('timeout'),
    signal,
  });
  const text = {
    clean: 'stopped',
    immediate: 'stopped at once',
    killed: 'killed',
    'not-running': 'was not running',
  };
  return { command: 'endpoint stop', lines: [`endpoint ${name} ${text[outcome]}`], data: { name, outcome } };
}
