/**
 * Cuts a zstd stream at the ends of its frames (RFC 8878, section 3.1): Node's decoder stops at the end of a frame and drops, without an
 * error, whatever follows in the same chunk; it goes on when the next frame starts a new chunk.
 */
import { ArchiveError } from './archive-error.ts';
import { ByteSource } from './byte-source.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const OPERATION = 'decompress zstd';
/** Sizes of the dictionary id and content size fields by their flags. */
const DICTIONARY_ID_SIZES = [0, 1, 2, 4] as const;
const CONTENT_SIZES = [0, 2, 4, 8] as const;
const BLOCK_HEADER_SIZE = 3;
const BLOCK_SIZE_MAX = 128 * 1024;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/** The same bytes without skippable frames; no chunk holds bytes of two frames. Throws `ARCHIVE_TRUNCATED` or `ARCHIVE_INVALID`. */
export async function* splitZstdFrames(
  stream: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const source = new ByteSource(stream, { operation: OPERATION, signal });
  try {
    let magicBytes = await source.takeExactly(4, 'a frame');
    if (magicBytes === undefined) throw source.truncated('a frame', { expected: 4, found: 0 });
    for (; magicBytes !== undefined; magicBytes = await source.takeExactly(4, 'a frame')) {
      const magic = new DataView(magicBytes.buffer, magicBytes.byteOffset, 4).getUint32(0, true);
      if (magic === MAGIC) yield* mergeAdjacent(frame(source, magicBytes));
      else if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) await skipFrame(source);
      else throw invalid(source, `no zstd frame (magic 0x${magic.toString(16)})`);
    }
  } finally {
    await source.close();
  }
}

/** Joins views that lie side by side in one buffer: each write to the decoder is a hop to another thread. */
async function* mergeAdjacent(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let joined: Uint8Array | undefined;
  for await (const piece of pieces) {
    if (joined?.buffer === piece.buffer && joined.byteOffset + joined.length === piece.byteOffset) {
      joined = new Uint8Array(joined.buffer, joined.byteOffset, joined.length + piece.length);
      continue;
    }
    if (joined !== undefined) yield joined;
    joined = piece;
  }
  if (joined !== undefined) yield joined;
}

async function* frame(source: ByteSource, magic: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield magic;
  const first = await need(source, 1, 'a frame header');
  const descriptor = first[0] ?? 0;
  yield first;
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >>> 6;
  const rest =
    (singleSegment ? 0 : 1) +
    (DICTIONARY_ID_SIZES[descriptor & 3] ?? 0) +
    (singleSegment && contentSizeFlag === 0 ? 1 : (CONTENT_SIZES[contentSizeFlag] ?? 0));
  if (rest > 0) yield await need(source, rest, 'a frame header');
  for (let last = false; !last; ) {
    const header = await need(source, BLOCK_HEADER_SIZE, 'a block header');
    const value = (header[0] ?? 0) | ((header[1] ?? 0) << 8) | ((header[2] ?? 0) << 16);
    const type = (value >>> 1) & 3;
    const sizeBytes = value >>> 3;
    if (type === BLOCK_RESERVED || (type !== BLOCK_RLE && sizeBytes > BLOCK_SIZE_MAX))
      throw invalid(source, 'a block of a reserved type or impossible size');
    yield header;
    yield* exactly(source, type === BLOCK_RLE ? 1 : sizeBytes);
    last = (value & 1) === 1;
  }
  if ((descriptor & 0x04) !== 0) yield await need(source, 4, 'a checksum');
}

async function* exactly(source: ByteSource, sizeBytes: number): AsyncGenerator<Uint8Array, void, void> {
  for (let rest = sizeBytes; rest > 0; ) {
    const bytes = await source.take(rest);
    if (bytes === undefined)
      throw source.truncated('a block', { expected: sizeBytes, found: sizeBytes - rest });
    rest -= bytes.length;
    yield bytes;
  }
}

async function skipFrame(source: ByteSource): Promise<void> {
  const header = await need(source, 4, 'a skippable frame');
  for await (const _ of exactly(
    source,
    new DataView(header.buffer, header.byteOffset, 4).getUint32(0, true),
  ));
}

async function need(source: ByteSource, sizeBytes: number, what: string): Promise<Uint8Array> {
  const bytes = await source.takeExactly(sizeBytes, what);
  if (bytes === undefined) throw source.truncated(what, { expected: sizeBytes, found: 0 });
  return bytes;
}

function invalid(source: ByteSource, what: string): ArchiveError {
  const { position } = source;
  return new ArchiveError({
    code: 'ARCHIVE_INVALID',
    operation: OPERATION,
    message: `${OPERATION}: ${what}, before byte ${position}`,
    context: { position },
  });
}
