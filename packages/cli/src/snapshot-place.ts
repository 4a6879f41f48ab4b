import type { FormatOptions, FormatPlugin, SnapshotReader } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { usageError } from './cli-error.ts';
import { formatOptions } from './format-options.ts';
import { openSource, openSourcePlace, type SourcePlace } from './open-source.ts';
import { STORAGE_DEST_FORMAT } from './plugins.ts';
import { timelineOf } from './repository.ts';
import { formatServices } from './services.ts';
import { concurrencyOf, loadFormat, openLocation, type Session, type StorageRole } from './session.ts';

/** A snapshot that a command looks at: at `--snapshot_path`, be it a running server, else in `storage_dest`. Dispose to close it. */
export interface SnapshotPlace extends AsyncDisposable {
  readonly place: SourcePlace;
  readonly role: StorageRole;
  readonly format: FormatPlugin;
  /** In `storage_dest`; absent means the only one. */
  readonly tenantId?: string | undefined;
  readonly timelineId?: string | undefined;
}

export async function openSnapshotPlace(session: Session): Promise<SnapshotPlace> {
  const path = session.args.string('snapshot_path');
  if (path !== undefined) return { ...(await openSourcePlace(session, path)), role: 'snapshot' };
  const { storageDest, tenantId, timelineId } = await timelineOf(session);
  const format = await loadFormat(session, STORAGE_DEST_FORMAT);
  const storage = await openLocation(session, storageDest, { role: 'storage', access: 'read' });
  const dispose = () => storage[Symbol.asyncDispose]();
  return {
    place: { storage },
    role: 'storage',
    format,
    tenantId,
    timelineId,
    [Symbol.asyncDispose]: dispose,
  };
}

/** For messages and results. */
export function placeUrl({ place }: SnapshotPlace): string {
  return 'storage' in place ? place.storage.url : 'the running server';
}

/** The storage of a place for what a server cannot be asked. */
export function storageOf({ place }: SnapshotPlace): Storage {
  if ('storage' in place) return place.storage;
  throw usageError('this is for a snapshot in a storage, not for a running server');
}

/** How the place is read: by the flags that its format knows, and by the ids that are meant. */
export function placeOptions(session: Session, place: SnapshotPlace): FormatOptions {
  return formatOptions(placeSide(session, place));
}

/** What `formatOptions` and a transfer have to know of it. */
export function placeSide(session: Session, { format, place, role, tenantId, timelineId }: SnapshotPlace) {
  return {
    format,
    direction: 'server' in place ? ('live' as const) : ('read' as const),
    args: session.args,
    isSnapshotPath: role === 'snapshot',
    ...(role === 'storage' ? { fixed: { tenant_id: tenantId, timeline_id: timelineId } } : {}),
  };
}

/** Opens the snapshot. Pages are left to be judged by whoever reads them. */
export function openPlace(session: Session, place: SnapshotPlace): Promise<SnapshotReader> {
  return openSource(place, {
    env: session.env,
    options: placeOptions(session, place),
    services: formatServices(session, place.role),
    onProgress: session.onProgress,
    signal: session.signal,
    concurrency: concurrencyOf(session.args),
    pagesVerifiedDownstream: true,
  });
}
