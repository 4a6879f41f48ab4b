import { createHash } from 'node:crypto';
import type { SnapshotReader } from '@neon-snapshot/format-core';
import { parseRelationPath } from '@neon-snapshot/postgres';

const PAGE = 8192;

/** What an exported file holds. */
export interface FileDigest {
  readonly bytes: number;
  readonly sha256: string;
  /** With `pd_checksum` of every page zeroed. */
  readonly sha256WithoutChecksums: string;
  /** With `pd_lsn` zeroed too. */
  readonly sha256WithoutLsns: string;
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
  const withoutChecksums = createHash('sha256');
  const withoutLsns = createHash('sha256');
  let bytes = 0;
  for await (const chunk of body) {
    plain.update(chunk);
    const copy = Uint8Array.from(chunk);
    if (isRelation) clearFields(copy, 8, 10);
    withoutChecksums.update(copy);
    if (isRelation) clearFields(copy, 0, 8);
    withoutLsns.update(copy);
    bytes += chunk.length;
  }
  return {
    bytes,
    sha256: plain.digest('hex'),
    sha256WithoutChecksums: withoutChecksums.digest('hex'),
    sha256WithoutLsns: withoutLsns.digest('hex'),
  };
}

/** Zeroes bytes `[start, end)` of every page. */
function clearFields(pages: Uint8Array, start: number, end: number): void {
  for (let page = 0; page < pages.length; page += PAGE) pages.fill(0, page + start, page + end);
}
