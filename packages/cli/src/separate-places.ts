import type { Storage } from '@neon-snapshot/storage-core';
import { usageError } from './cli-error.ts';

/**
 * Refuses a transfer between a place and itself, or one inside the other: what is written would become part of what is
 * read. Options of the URL are left out of account.
 */
export function assertSeparatePlaces(storageDest: Storage, snapshotPath: Storage): void {
  const [storage, snapshot] = [storageDest.url, snapshotPath.url].map((url) => `${withoutOptions(url)}/`);
  if (storage === undefined || snapshot === undefined) return;
  if (storage === snapshot)
    throw usageError('--snapshot_path is the storage_dest itself; name another place');
  if (snapshot.startsWith(storage))
    throw usageError(
      `--snapshot_path lies inside the storage_dest ${storageDest.url}; name a place outside it`,
    );
  if (storage.startsWith(snapshot))
    throw usageError(`storage_dest lies inside --snapshot_path ${snapshotPath.url}; name a place outside it`);
}

function withoutOptions(url: string): string {
  return (url.split('?')[0] ?? url).replace(/\/+$/, '');
}
