import type { TimelineListing } from '@neon-snapshot/format-neon';
import { findPageServer, type PageServerState } from '@neon-snapshot/pageserver-runner';
import { openRefs, type RepositoryConfig, repositoryPaths } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError } from '../cli-error.ts';
import { loadNeonFormat } from '../plugins.ts';
import { directoryOf } from '../repository.ts';
import { openLocation, type Session } from '../session.ts';
import { MAIN } from './ensure-repository.ts';

/** A branch that was named on the command line. */
export interface Branch {
  /** Undefined where it was given by its id. */
  readonly name: string | undefined;
  readonly timelineId: string;
}

const TIMELINE_ID = /^[0-9a-f]{32}$/i;

/** The branch of a name, or of a timeline id; the repository's own where none is given. Throws `CLI_BRANCH_NOT_FOUND`. */
export async function resolveBranch(
  session: Session,
  config: RepositoryConfig,
  given: string | undefined,
): Promise<Branch> {
  if (given === undefined) return { name: MAIN, timelineId: config.timeline_id };
  if (TIMELINE_ID.test(given)) return { name: undefined, timelineId: given.toLowerCase() };
  await using storage = await openStorageOf(session, config, 'read');
  const refs = openRefs({ storage, tenantId: config.tenant_id });
  const found = await refs.branches.get(given, { signal: session.signal });
  if (found !== undefined) return { name: given, timelineId: found.timelineId };
  if (given === MAIN) return { name: MAIN, timelineId: config.timeline_id };
  const names = (await refs.branches.list({ signal: session.signal })).map((each) => each.name);
  throw new CliError(
    'CLI_BRANCH_NOT_FOUND',
    'find branch',
    `there is no branch ${given} in ${config.storage_dest}; there are: ${[...new Set([MAIN, ...names])].join(', ')}`,
    { name: given },
  );
}

export function openStorageOf(
  session: Session,
  config: RepositoryConfig,
  access: 'read' | 'write',
): Promise<Storage> {
  return openLocation(session, config.storage_dest, { role: 'storage', access });
}

/** The page server of the repository, if it runs. */
export async function runningPageServer(session: Session): Promise<PageServerState | undefined> {
  const found = await findPageServer(repositoryPaths(directoryOf(session)));
  return found?.running === true ? found.state : undefined;
}

/** Every timeline of the repository's tenant that has an index. */
export async function listTimelinesOf(
  session: Session,
  config: RepositoryConfig,
): Promise<readonly TimelineListing[]> {
  await using storage = await openStorageOf(session, config, 'read');
  const { listTimelines } = await loadNeonFormat();
  const all = await listTimelines(storage, { tenantId: config.tenant_id, signal: session.signal });
  return all.filter((each) => each.index !== undefined);
}
