import type { FormatOptions, FormatPlugin } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { formatOptions } from './format-options.ts';
import { STORAGE_DEST_FORMAT } from './plugins.ts';
import { timelineOf } from './repository.ts';
import { loadFormat, openLocation, type Session, type StorageRole } from './session.ts';
import { sourceFormat } from './source-format.ts';

/** A snapshot that a command looks at: at `--snapshot_path`, else in `storage_dest`. Dispose to close its storage. */
export interface SnapshotPlace extends AsyncDisposable {
  readonly storage: Storage;
  readonly role: StorageRole;
  readonly format: FormatPlugin;
  /** In `storage_dest`; absent means the only one. */
  readonly tenantId?: string | undefined;
  readonly timelineId?: string | undefined;
}

export async function openSnapshotPlace(session: Session): Promise<SnapshotPlace> {
  const path = session.args.string('snapshot_path');
  if (path === undefined) {
    const { storageDest, tenantId, timelineId } = await timelineOf(session);
    const format = await loadFormat(session, STORAGE_DEST_FORMAT);
    const storage = await openLocation(session, storageDest, { role: 'storage', access: 'read' });
    const dispose = () => storage[Symbol.asyncDispose]();
    return { storage, role: 'storage', format, tenantId, timelineId, [Symbol.asyncDispose]: dispose };
  }
  const storage = await openLocation(session, path, { role: 'snapshot', access: 'read' });
  const dispose = () => storage[Symbol.asyncDispose]();
  try {
    const format = await sourceFormat(session, storage);
    return { storage, role: 'snapshot', format, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** How the place is read: by the flags that its format knows, and by the ids that are meant. */
export function placeOptions(session: Session, place: SnapshotPlace): FormatOptions {
  return formatOptions({ ...placeSide(session, place), direction: 'read' });
}

/** What `formatOptions` and a transfer have to know of it. */
export function placeSide(session: Session, { format, role, tenantId, timelineId }: SnapshotPlace) {
  return {
    format,
    args: session.args,
    isSnapshotPath: role === 'snapshot',
    ...(role === 'storage' ? { fixed: { tenant_id: tenantId, timeline_id: timelineId } } : {}),
  };
}
