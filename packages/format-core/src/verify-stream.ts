import { BLCKSZ, parseRelationPath, RELSEG_BLOCKS } from '@neon-snapshot/postgres';
import { checkedPartition } from './checked-partition.ts';
import type { SnapshotReader } from './format.ts';
import { isFormatError } from './format-error.ts';
import { PageCheck } from './page-check.ts';
import { pageRuns } from './page-runs.ts';
import type { ProgressListener } from './progress.ts';
import { releaseChunk } from './release-chunk.ts';
import type { FileEntry, SnapshotInfo } from './snapshot.ts';
import type { VerifyCollector } from './verification.ts';

export interface VerifyStreamOptions {
  readonly collector: VerifyCollector;
  /** Look at every relation page too; its checksums where the snapshot has them. */
  readonly checkPages: boolean;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

const PAGES_AT_ONCE = 128;

/**
 * Reads a snapshot from the first entry to the last, as an export would, and checks the contract of the stream on the way: what a
 * format without a check of its own can be held to. A stream that breaks off is the finding `UNREADABLE`.
 */
export async function verifyStream(reader: SnapshotReader, options: VerifyStreamOptions): Promise<void> {
  const { collector, signal } = options;
  const pages = new PageCheck(collector);
  const { bytesTotal } = reader.info;
  for (const name of ['files', 'bytes']) collector.count(name, 0);
  const done = { bytes: 0, files: 0 };
  const observer = {
    onBytes: (count: number) => {
      done.bytes += count;
      collector.count('bytes', count);
      options.onProgress?.({
        phase: 'copy',
        bytesDone: done.bytes,
        filesDone: done.files,
        ...(bytesTotal === undefined ? {} : { bytesTotal }),
      });
    },
    onFile: () => {
      done.files += 1;
      collector.count('files');
    },
  };
  try {
    for (const partition of reader.partitions(1)) {
      for await (const entry of checkedPartition(partition, observer, signal).entries) {
        if (entry.kind !== 'file') continue;
        if (options.checkPages) await checkFile(entry, { pages, info: reader.info });
        else await drain(entry);
      }
    }
    await reader.finish();
  } catch (error) {
    if (!isFormatError(error) || error.code === 'FORMAT_ABORTED') throw error;
    const { path } = error.context;
    collector.error({
      code: 'UNREADABLE',
      message: `${error.message} [${error.code}]`,
      ...(typeof path === 'string' ? { path } : {}),
    });
  }
}

async function drain({ body }: Pick<FileEntry, 'body'>): Promise<void> {
  for await (const chunk of body) releaseChunk(chunk);
}

async function checkFile(
  { path, body }: FileEntry,
  { pages, info }: { readonly pages: PageCheck; readonly info: SnapshotInfo },
): Promise<void> {
  const relation = parseRelationPath(path);
  if (relation === undefined) {
    await drain({ body });
    return;
  }
  const { dataChecksums: hasChecksums, consistency } = info;
  const inFluxFrom = consistency.kind === 'needs-wal' ? consistency.fromLsn : undefined;
  let firstBlock = relation.segno * RELSEG_BLOCKS;
  for await (const run of pageRuns(body, { pageCountMax: PAGES_AT_ONCE, path })) {
    pages.check({ pages: run, firstBlock, path, hasChecksums, inFluxFrom });
    firstBlock += run.length / BLCKSZ;
  }
}
