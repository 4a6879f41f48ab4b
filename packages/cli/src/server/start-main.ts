import {
  createEndpoint,
  findEndpoint,
  type StartedEndpoint,
  startEndpoint,
} from '@neon-snapshot/pageserver-runner';
import type { RepositoryConfig, RepositoryPaths } from '@neon-snapshot/repository';
import { assertNotFollowing } from '../follow/followed-primary.ts';
import type { Session } from '../session.ts';
import { dataDirectoryBuilder } from './build-data-directory.ts';
import { MAIN } from './ensure-repository.ts';

export interface StartPlace {
  readonly config: RepositoryConfig;
  readonly paths: RepositoryPaths;
}

/** Starts the endpoint main, which is made the first time. */
export async function startMain(session: Session, { config, paths }: StartPlace): Promise<StartedEndpoint> {
  const port = session.args.integer('port');
  await assertNotFollowing(paths, config.timeline_id);
  if ((await findEndpoint(paths, MAIN)) === undefined)
    await createEndpoint({
      repository: paths,
      name: MAIN,
      timelineId: config.timeline_id,
      postgresMajor: config.pg_version,
      port,
    });
  return startEndpoint({
    repository: paths,
    name: MAIN,
    build: dataDirectoryBuilder(session, config),
    port,
    onNote: (message) => session.output.note(message),
    signal: session.signal,
  });
}
