import { createHash, type Hash } from 'node:crypto';
import type { SnapshotReader } from '@neon-snapshot/format-core';
import { parseRelationPath } from '@neon-snapshot/postgres';

const PAGE = 8192;

/** What an exported file holds. */
export interface FileDigest {
  readonly bytes: number;
  readonly sha256: string;
  /** With `pd_checksum` of every page zeroed. */
  readonly sha256WithoutChecksums: string;
}

/** Digests of all files that a reader yields, by path. */
export async function digestFiles(
  reader: SnapshotReader,
  partitionCount = 2,
): Promise<Map<string, FileDigest>> {
  const digests = new Map<string, FileDigest>();
  await Promise.all(
    reader.partitions(partitionCount).map(async (partition) => {
      for await (const entry of partition.entries) {
        if (entry.kind !== 'file') continue;
        const isRelation = parseRelationPath(entry.path) !== undefined;
        digests.set(entry.path, await digest(entry.body, isRelation));
      }
    }),
  );
  return digests;
}

async function digest(body: AsyncIterable<Uint8Array>, isRelation: boolean): Promise<FileDigest> {
  const plain = createHash('sha256');
  const masked = createHash('sha256');
  let bytes = 0;
  for await (const chunk of body) {
    plain.update(chunk);
    updateMasked(masked, chunk, isRelation);
    bytes += chunk.length;
  }
  return { bytes, sha256: plain.digest('hex'), sha256WithoutChecksums: masked.digest('hex') };
}

function updateMasked(hash: Hash, chunk: Uint8Array, isRelation: boolean): void {
  const copy = Uint8Array.from(chunk);
  if (isRelation) for (let page = 0; page < copy.length; page += PAGE) copy.fill(0, page + 8, page + 10);
  hash.update(copy);
}
