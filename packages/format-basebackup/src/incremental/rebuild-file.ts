import { FormatError } from '@neon-snapshot/format-core';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { ChunkReader } from './chunk-reader.ts';
import { type IncrementalHeader, incrementalPathOf, readIncrementalHeader } from './incremental-file.ts';
import type { ParentBackup, ParentFile } from './parent-backup.ts';

/** Blocks that are read from a parent or given out at once. */
const RUN_BLOCK_COUNT_MAX = 128;

/** A relation file made of an incremental one and the backups before it. */
export interface RebuiltFile {
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface RebuildFileOptions {
  /** Of the whole file. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Of the incremental file. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Newest first. */
  readonly parents: readonly ParentBackup[];
}

/**
 * Rebuilds one file as pg_combinebackup does: a block comes from the newest backup that has it; blocks at or behind the truncation
 * length of the newest only from the newest; the first whole file going back ends the search; what is in none is zeros.
 * The newest file's blocks pass through as they arrive: nothing but block lists is held.
 */
export async function rebuildFile(options: RebuildFileOptions): Promise<RebuiltFile> {
  const { path } = options;
  const reader = new ChunkReader(options.body, { path: incrementalPathOf(path) });
  const header = await readIncrementalHeader((size) => reader.take(size), {
    path: incrementalPathOf(path),
    sizeBytes: options.sizeBytes,
  });
  const blockCount = Math.max(header.truncationBlockLength, (header.blocks.at(-1) ?? -1) + 1);
  const map = await findOlderBlocks(options, header);
  return {
    sizeBytes: blockCount * BLCKSZ,
    body: blocksOf({ blockCount, header, reader, map }),
  };
}

/** Where older blocks lie: for each block the index of its file plus one (0: in none), and its block offset within that file. */
interface OlderBlocks {
  readonly files: readonly { readonly file: ParentFile; readonly dataOffset: number }[];
  readonly fileOf: Uint8Array;
  readonly positionOf: Uint32Array;
}

const FILES_MAX = 255;

async function findOlderBlocks(
  { path, parents }: RebuildFileOptions,
  newest: IncrementalHeader,
): Promise<OlderBlocks> {
  const length = newest.truncationBlockLength;
  const fileOf = new Uint8Array(length);
  const positionOf = new Uint32Array(length);
  const files: { readonly file: ParentFile; readonly dataOffset: number }[] = [];
  const taken = new Uint8Array(length);
  for (const block of newest.blocks) if (block < length) taken[block] = 1;
  const supply = (block: number, position: number) => {
    if (block >= length || taken[block] === 1) return;
    taken[block] = 1;
    fileOf[block] = files.length;
    positionOf[block] = position;
  };
  for (const parent of parents) {
    if (files.length === FILES_MAX) throw unfound(path, `more than ${FILES_MAX} backups have it`);
    const whole = parent.find(path);
    if (whole !== undefined) {
      files.push({ file: whole, dataOffset: 0 });
      for (let block = 0; block < Math.floor(whole.sizeBytes / BLCKSZ); block += 1) supply(block, block);
      return { files, fileOf, positionOf };
    }
    const partial = parent.find(incrementalPathOf(path));
    if (partial === undefined)
      throw unfound(path, `${parent.url} has neither it nor an incremental form of it`);
    const header = await readParentHeader(partial);
    files.push({ file: partial, dataOffset: header.headerSizeBytes });
    for (const [position, block] of header.blocks.entries()) supply(block, position);
  }
  throw unfound(path, 'no backup has it whole');
}

function readParentHeader(file: ParentFile): Promise<IncrementalHeader> {
  let at = 0;
  const take = async (size: number) => {
    const bytes = await file.read(at, size);
    at += size;
    return bytes;
  };
  return readIncrementalHeader(take, file);
}

async function* blocksOf(plan: {
  readonly blockCount: number;
  readonly header: IncrementalHeader;
  readonly reader: ChunkReader;
  readonly map: OlderBlocks;
}): AsyncGenerator<Uint8Array, void, undefined> {
  const { blockCount, header, reader, map } = plan;
  const { blocks } = header;
  let nextNew = 0;
  for (let block = 0; block < blockCount; ) {
    let count = 1;
    if (blocks[nextNew] === block) {
      while (count < RUN_BLOCK_COUNT_MAX && blocks[nextNew + count] === block + count) count += 1;
      yield await reader.take(count * BLCKSZ);
      nextNew += count;
    } else {
      const end = Math.min(blockCount, blocks[nextNew] ?? blockCount, block + RUN_BLOCK_COUNT_MAX);
      while (block + count < end && follows(map, block + count)) count += 1;
      yield await olderBlocks(map, block, count);
    }
    block += count;
  }
  await reader.end();
}

/** The block lies behind the one before it in the same file, or both lie in none. */
function follows({ fileOf, positionOf }: OlderBlocks, block: number): boolean {
  const [file = 0, before = 0] = [fileOf[block], fileOf[block - 1]];
  return file === before && (file === 0 || positionOf[block] === (positionOf[block - 1] ?? 0) + 1);
}

async function olderBlocks(map: OlderBlocks, block: number, count: number): Promise<Uint8Array> {
  const source = map.files[(map.fileOf[block] ?? 0) - 1];
  if (source === undefined) return new Uint8Array(count * BLCKSZ);
  const offset = source.dataOffset + (map.positionOf[block] ?? 0) * BLCKSZ;
  return source.file.read(offset, count * BLCKSZ);
}

function unfound(path: string, what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'combine backups',
    message: `${incrementalPathOf(path)} can't be made whole: ${what}; the chain of backups is incomplete or damaged`,
    context: { path },
  });
}
