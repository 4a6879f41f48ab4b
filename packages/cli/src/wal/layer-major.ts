import { INDEX_BYTES_MAX, parseIndexName, parseIndexPart } from '@neon-snapshot/neon-layer';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { usageError } from '../cli-error.ts';

/** The Postgres major of the timeline whose directory is opened: a layer does not say it, the newest index beside it does. */
export async function majorOfTimeline(
  storage: Storage,
  { signal }: { readonly signal: AbortSignal },
): Promise<number> {
  let newest: { readonly key: string; readonly generation: number } | undefined;
  for await (const { objects } of storage.list({ prefix: 'index_part.json', signal })) {
    for (const { key } of objects) {
      const parsed = parseIndexName(key);
      if (parsed === null) continue;
      const generation = parsed ?? -1;
      if (newest === undefined || generation > newest.generation) newest = { key, generation };
    }
  }
  if (newest === undefined)
    throw usageError(
      `${storage.url} has no index_part.json, so the Postgres major of its layers is not known; name it with --pg_version`,
    );
  const { body } = await storage.get(newest.key, { signal });
  const bytes = await readAll(body, { sizeMaxBytes: INDEX_BYTES_MAX, key: newest.key });
  return parseIndexPart(bytes).metadata.postgresMajor;
}
