import {
  type GetOptions,
  type GetResult,
  type ObjectInfo,
  type PutBody,
  type PutOptions,
  type PutResult,
  resolveRange,
  sizeMismatchError,
  unsupportedError,
} from '@neon-snapshot/storage-core';
import { translated } from './errors.ts';
import { chmod, lstat } from './fs-calls.ts';
import type { FsRoot } from './fs-root.ts';
import { etagOf } from './object-info.ts';
import { type PendingSync, syncPath } from './pending-sync.ts';

export interface MarkerPut {
  readonly root: FsRoot;
  readonly pending: PendingSync;
  readonly key: string;
  readonly body: PutBody;
  readonly options: PutOptions;
}

/** The object `dir/` is the directory itself, so putting it makes it. Conditions are `STORAGE_UNSUPPORTED`. */
export async function putMarker(call: MarkerPut): Promise<PutResult> {
  const { root, pending, key, body, options } = call;
  if (options.ifNoneMatch !== undefined || options.ifMatch !== undefined) {
    const url = `file://${root.path}`;
    throw unsupportedError({ operation: 'put', key, url, what: 'conditions on directory markers' });
  }
  if (!(body instanceof Uint8Array)) await drainEmpty(key, body);
  const directoryKey = key.slice(0, -1);
  const path = root.directoryPath(directoryKey);
  const changed = await root.ensureDirectory(directoryKey, 'put');
  return translated({ operation: 'put', path, key }, async () => {
    if (options.mode !== undefined) await chmod(path, options.mode);
    if (options.deferSync === true) pending.addDirectories(changed);
    else for (const directory of changed) await syncPath(directory);
    return { etag: etagOf(await lstat(path, { bigint: true })), sizeBytes: 0 };
  });
}

/** A marker read: no bytes, whatever the directory holds. */
export function markerBody(info: ObjectInfo, { range }: GetOptions): GetResult {
  resolveRange({ key: info.key, range, sizeBytes: 0 });
  return { info, body: (async function* () {})() };
}

async function drainEmpty(key: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of body) {
    if (chunk.byteLength > 0)
      throw sizeMismatchError({ key, expectedBytes: 0, foundBytes: chunk.byteLength });
  }
}
