import {
  listEndpoints,
  type PageServerStop,
  stopEndpoint,
  stopPageServer,
} from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import { readFollowed } from '../follow/followed-primary.ts';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import type { Session } from '../session.ts';

const PAGE_SERVER_TEXT: Readonly<Record<PageServerStop, string>> = {
  clean: 'stopped; storage_dest has everything',
  killed:
    'killed: it did not end in time; what it had not pushed comes again from the endpoints at the next start',
  stale: 'was not running: it had ended without a proper stop',
  'not-running': 'was not running',
};

/** `neon stop`: endpoints first, so that the page server has all of their WAL; then its last push. */
export async function run(session: Session): Promise<CommandResult> {
  await requiredRepository(session);
  const { args, signal } = session;
  const paths = repositoryPaths(directoryOf(session));
  const timeoutMs = args.durationMs('timeout');
  const mode = args.string('mode') === 'immediate' ? 'immediate' : 'fast';
  const stopped: { name: string; outcome: string }[] = [];
  for (const { name, pid } of await listEndpoints(paths)) {
    if (pid === undefined) continue;
    session.output.note(`stopping endpoint ${name}`);
    const outcome = await stopEndpoint({ repository: paths, name, mode, timeoutMs, signal });
    stopped.push({ name, outcome });
  }
  session.output.note('stopping the page server');
  const followed = await readFollowed(paths);
  const outcome = await stopPageServer({ paths, ...(timeoutMs === undefined ? {} : { timeoutMs }), signal });
  return {
    command: 'stop',
    lines: [
      ...stopped.map(
        (each) =>
          `endpoint     ${each.name} ${each.outcome === 'clean' ? 'stopped' : `stopped (${each.outcome})`}`,
      ),
      `page server  ${PAGE_SERVER_TEXT[outcome]}`,
      ...(followed === undefined
        ? []
        : [
            `follows      ${followed.server}: its slot ${followed.source.slot} stays, and keeps WAL there until the next neon start; neon start --unfollow drops it`,
          ]),
    ],
    data: { pageserver: outcome, endpoints: stopped },
  };
}
