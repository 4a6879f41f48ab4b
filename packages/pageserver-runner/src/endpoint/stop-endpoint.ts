import { type DetachedStop, stopDetachedPostgres } from '@neon-snapshot/postgres-process';
import type { RepositoryPaths } from '@neon-snapshot/repository';
import { removeWalSource } from '../page-server-client.ts';
import { findPageServer } from '../page-server-state.ts';
import { requireEndpoint } from './endpoint-state.ts';

export interface StopEndpointOptions {
  readonly repository: RepositoryPaths;
  readonly name: string;
  /** `immediate` does not wait for what the page server still has to take. Default `fast`. */
  readonly mode?: 'fast' | 'immediate';
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stops the Postgres of an endpoint: it waits until the page server has all of its WAL, the shutdown checkpoint too. Throws
 * `RUNNER_ENDPOINT_NOT_FOUND`.
 */
export async function stopEndpoint(options: StopEndpointOptions): Promise<DetachedStop> {
  const { repository, name, mode = 'fast', timeoutMs, signal } = options;
  const endpoint = await requireEndpoint(repository, name);
  const outcome = await stopDetachedPostgres({
    dataDirectory: endpoint.paths.dataDirectory,
    mode,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    signal,
  });
  const pageServer = await findPageServer(repository);
  if (pageServer?.running) {
    const timeline = { tenantId: pageServer.state.tenantId, timelineId: endpoint.timelineId };
    // A page server that is just ending forgets its sources by itself.
    await removeWalSource(pageServer.state, timeline, signal).catch(() => undefined);
  }
  return outcome;
}
