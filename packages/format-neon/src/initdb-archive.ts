import { compress, directoryMembers, writeTar } from '@neon-snapshot/archive';
import { FormatError } from '@neon-snapshot/format-core';
import { initdbObjectKey } from '@neon-snapshot/neon-layer';
import type { PutResult, Storage } from '@neon-snapshot/storage-core';

export interface InitdbArchiveRequest {
  readonly tenantId: string;
  readonly timelineId: string;
  /** A data directory that initdb made and no server ever ran on; in a file tree. */
  readonly source: Storage;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stores `initdb.tar.zst` as Neon does: the whole directory, WAL included, sorted, with fixed modes and times. A page server
 * needs it only to make a timeline anew. `FORMAT_UNSUPPORTED` for a source that is no file tree.
 */
export async function writeInitdbArchive(
  storage: Storage,
  { tenantId, timelineId, source, signal }: InitdbArchiveRequest,
): Promise<PutResult> {
  const rootPath = source.fileTree?.rootPath;
  if (rootPath === undefined) {
    throw new FormatError({
      code: 'FORMAT_UNSUPPORTED',
      operation: 'write initdb archive',
      message: `${source.url} is no local directory; initdb.tar.zst is made from one`,
    });
  }
  const tar = writeTar(directoryMembers(rootPath, { signal }), { signal });
  return storage.put(initdbObjectKey(tenantId, timelineId), compress(tar, 'zstd', { signal }), { signal });
}
