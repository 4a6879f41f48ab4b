/**
 * `INCREMENTAL.<file>` of a backup of 17 and newer (blkreftable.h, basebackup_incremental.c), little-endian: u32 magic, u32 number of
 * blocks N, u32 truncation block length T, u32[N] block numbers within the segment, ascending; where N > 0 zeros up to a multiple of
 * 8192; then N blocks of 8192 bytes.
 */
import { FormatError } from '@neon-snapshot/format-core';
import { BLCKSZ, parseRelationPath, RELSEG_BLOCKS } from '@neon-snapshot/postgres';

/** `INCREMENTAL_MAGIC` */
const MAGIC = 0xd3ae1f0d;
const FIXED_SIZE = 12;
const NAME = /^(.*\/)INCREMENTAL\.([^/]+)$/;
const VISIBILITY_MAP_FORK = 2;

export interface IncrementalHeader {
  /** Ascending, below 131072. */
  readonly blocks: Uint32Array;
  /** Blocks from here on come from this file or from nowhere. */
  readonly truncationBlockLength: number;
  /** Where the first block lies. */
  readonly headerSizeBytes: number;
}

/** The relation file that an incremental one is about; undefined for every other name. */
export function pathOfIncremental(path: string): string | undefined {
  const [, directory, name] = NAME.exec(path) ?? [];
  if (directory === undefined || name === undefined) return undefined;
  const whole = `${directory}${name}`;
  return parseRelationPath(whole) === undefined ? undefined : whole;
}

export function incrementalPathOf(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  return `${path.slice(0, slash)}INCREMENTAL.${path.slice(slash)}`;
}

export function isVisibilityMap(path: string): boolean {
  return parseRelationPath(path)?.tag.forkNum === VISIBILITY_MAP_FORK;
}

/** Reads the header by exact lengths; `FORMAT_INVALID` where it contradicts itself or the size of the file. */
export async function readIncrementalHeader(
  take: (sizeBytes: number) => Promise<Uint8Array>,
  file: { readonly path: string; readonly sizeBytes: number },
): Promise<IncrementalHeader> {
  const { path, sizeBytes } = file;
  if (sizeBytes < FIXED_SIZE) throw invalid(path, `has ${sizeBytes} bytes, which is no header`);
  const fixed = await take(FIXED_SIZE);
  const [magic = 0, count = 0, truncationBlockLength = 0] = uint32s(fixed);
  if (magic !== MAGIC)
    throw invalid(path, `begins with 0x${magic.toString(16)}, not 0x${MAGIC.toString(16)}`);
  if (count > RELSEG_BLOCKS || truncationBlockLength > RELSEG_BLOCKS) {
    throw invalid(
      path,
      `names ${count} blocks and a length of ${truncationBlockLength}; a segment has ${RELSEG_BLOCKS}`,
    );
  }
  const listEnd = FIXED_SIZE + 4 * count;
  const headerSizeBytes = count === 0 ? listEnd : Math.ceil(listEnd / BLCKSZ) * BLCKSZ;
  if (sizeBytes !== headerSizeBytes + count * BLCKSZ) {
    throw invalid(
      path,
      `has ${sizeBytes} bytes, expected ${headerSizeBytes + count * BLCKSZ} for its ${count} blocks`,
    );
  }
  const blocks = uint32s(await take(4 * count));
  await take(headerSizeBytes - listEnd);
  for (const [index, block] of blocks.entries()) {
    const before = index === 0 ? -1 : (blocks[index - 1] ?? 0);
    if (block <= before || block >= RELSEG_BLOCKS)
      throw invalid(path, `lists block ${block} after ${before}`);
  }
  return { blocks, truncationBlockLength, headerSizeBytes };
}

function uint32s(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(4 * index, true));
}

function invalid(path: string, what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read incremental file',
    message: `${path} ${what}; the backup is damaged`,
    context: { path },
  });
}
