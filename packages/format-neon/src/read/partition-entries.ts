import { type FileEntry, FormatError, type PageFault } from '@neon-snapshot/format-core';
import {
  type KeyRange,
  nextKey,
  type PageBatch,
  parseKey,
  relBlockKey,
  slruBlockKey,
  slruSizeKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import type { RedoFallback } from '@neon-snapshot/neon-timeline';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { translatingItems } from '../layer-faults.ts';
import type { DecodeRequest, DecodeResult } from '../pages/decode-worker.ts';
import type { PageBuffers } from '../pages/page-buffers.ts';
import type { WorkerPool } from '../pages/worker-pool.ts';
import type { ExportFile, RelationSegment, SlruSegment } from './export-files.ts';
import { type SegmentPages, streamPages } from './page-stream.ts';

export interface PartitionSource {
  readonly files: readonly ExportFile[];
  readonly view: TimelineReader;
  readonly pool: WorkerPool<DecodeRequest, DecodeResult>;
  readonly buffers: PageBuffers;
  readonly postgresMajor: number;
  readonly hasChecksums: boolean;
  readonly isImported: boolean;
  readonly onPageFault: (fault: PageFault) => void;
  readonly onZeroPages: (count: number) => void;
  readonly fallback: RedoFallback | undefined;
  readonly jobCountMax: number;
  readonly modifiedAt: Date;
  readonly signal?: AbortSignal | undefined;
}

/** The files of one partition as entries. Pages are read and decoded ahead of the receiver, in the order of the files. */
export async function* partitionEntries(source: PartitionSource): AsyncGenerator<FileEntry, void, undefined> {
  const segments = source.files.filter(hasPages);
  const pages = streamPages({
    segments,
    batches: readBatches(source, segments),
    pool: source.pool,
    buffers: source.buffers,
    postgresMajor: source.postgresMajor,
    hasChecksums: source.hasChecksums,
    isImported: source.isImported,
    onPageFault: source.onPageFault,
    onZeroPages: source.onZeroPages,
    fallback: source.fallback,
    signal: source.signal,
    jobCountMax: source.jobCountMax,
  });
  try {
    for (const file of source.files) {
      const { path, sizeBytes } = file;
      const body = translatingItems(bodyOf(file, { source, pages }));
      yield { kind: 'file', path, sizeBytes, modifiedAt: source.modifiedAt, body };
    }
  } finally {
    await pages.return();
  }
}

function hasPages(file: ExportFile): file is RelationSegment {
  return file.kind === 'relation' && file.blocks > 0;
}

async function* readBatches(
  { view, buffers, signal }: PartitionSource,
  segments: readonly RelationSegment[],
): AsyncGenerator<PageBatch, void, undefined> {
  const memory = () => buffers.take();
  for (const range of keyRanges(segments)) yield* view.readPages(range, { memory, signal });
}

/** Ranges of keys with the pages of the segments and, but for stale ones, nothing else. */
function keyRanges(segments: readonly RelationSegment[]): KeyRange[] {
  const ranges: { start: Uint8Array; end: Uint8Array }[] = [];
  for (const segment of segments) {
    const end = nextKey(relBlockKey(segment.tag, segment.firstBlock + segment.blocks - 1));
    const last = ranges.at(-1);
    if (last === undefined || segment.followsGap) {
      ranges.push({ start: relBlockKey(segment.tag, segment.firstBlock), end });
    } else {
      last.end = end;
    }
  }
  return ranges;
}

async function* bodyOf(
  file: ExportFile,
  { source, pages }: { readonly source: PartitionSource; readonly pages: AsyncIterator<SegmentPages> },
): AsyncGenerator<Uint8Array, void, undefined> {
  if (file.kind === 'bytes') {
    if (file.bytes.length > 0) yield file.bytes;
  } else if (file.kind === 'slru') {
    yield* slruPages(file, source);
  } else {
    yield* relationPages(file, pages);
  }
}

async function* relationPages(
  segment: RelationSegment,
  pages: AsyncIterator<SegmentPages>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let bytes = 0; bytes < segment.sizeBytes; ) {
    const next = await pages.next();
    if (next.done === true || next.value.segment !== segment) {
      throw new Error(`the pages of ${segment.path} came out of order`);
    }
    bytes += next.value.pages.length;
    yield next.value.pages;
  }
}

/** The pages of an SLRU segment; of a commit log page without the timestamp that Neon appends. */
async function* slruPages(
  { slru, segno, blocks, path }: SlruSegment,
  { view, signal }: PartitionSource,
): AsyncGenerator<Uint8Array, void, undefined> {
  const range = { start: slruBlockKey(slru, segno, 0), end: slruSizeKey(slru, segno) };
  let block = 0;
  for await (const batch of view.scan(range, { signal })) {
    for (const { key, value } of batch) {
      const parsed = parseKey(key);
      if (parsed.kind !== 'slru-block' || parsed.blockNumber >= blocks) continue;
      if (parsed.blockNumber !== block || value.length < BLCKSZ) throw missingSlruPage(path, block);
      block += 1;
      yield value.subarray(0, BLCKSZ);
    }
  }
  if (block < blocks) throw missingSlruPage(path, block);
}

function missingSlruPage(path: string, block: number): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read pages',
    message: `The timeline has no whole page for block ${block} of ${path}`,
    context: { path, block },
  });
}
