import { listEndpoints, stopEndpoint } from '@neon-snapshot/pageserver-runner';
import type { RepositoryPaths } from '@neon-snapshot/repository';

const STOP_TIMEOUT_MS = 10_000;

/**
 * For a page server that must not write any more: what its endpoints commit would go nowhere, and would be thrown away with their
 * data directories at the next start. Clients see their sessions end, with no commit acknowledged that waits for the storage.
 */
export async function stopAllEndpoints(
  repository: RepositoryPaths,
  onFailure: (message: string) => void,
): Promise<void> {
  for (const { name, pid } of await listEndpoints(repository)) {
    if (pid === undefined) continue;
    await stopEndpoint({ repository, name, mode: 'fast', timeoutMs: STOP_TIMEOUT_MS }).catch(
      (error: unknown) => onFailure(`the endpoint ${name} could not be stopped: ${String(error)}`),
    );
  }
}
