/**
 * LZ4 frames (lz4_Frame_format.md 1.6.4): magic, descriptor (FLG, BD, content size, header checksum), blocks of a u32 length (top
 * bit: stored) and data, a zero length, a checksum of the content. Numbers are little-endian.
 */
import { ArchiveError, throwIfAborted } from './archive-error.ts';
import { ByteSource } from './byte-source.ts';
import {
  createLz4HashTable,
  decodeLz4Block,
  encodeLz4Block,
  LZ4_WINDOW_SIZE,
  Lz4BlockFault,
  lz4BlockBound,
} from './lz4-block.ts';
import { Xxh32, xxh32 } from './xxh32.ts';

const MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const STORED = 0x80000000;
const FLG = {
  version: 0xc0,
  independent: 0x20,
  blockChecksum: 0x10,
  contentSize: 0x08,
  contentChecksum: 0x04,
  reserved: 0x02,
  dictionary: 0x01,
} as const;
const FLG_VERSION_1 = 0x40;
/** Block size code of BD → bytes. */
const BLOCK_SIZES: Readonly<Record<number, number | undefined>> = {
  4: 65536,
  5: 262144,
  6: 1048576,
  7: 4194304,
};
const WRITTEN_BLOCK_CODE = 6;
const READ_OPERATION = 'decompress lz4';

interface FrameDescriptor {
  readonly linked: boolean;
  readonly blockChecksum: boolean;
  readonly contentChecksum: boolean;
  readonly contentSize: bigint | undefined;
  readonly blockSizeMax: number;
}

/** The contents of one or more LZ4 frames, also of linked blocks. Chunks belong to the receiver. Throws `ArchiveError`. */
export async function* decompressLz4(
  stream: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const source = new ByteSource(stream, { operation: READ_OPERATION, signal });
  try {
    let magicBytes = await source.takeExactly(4, 'a frame');
    if (magicBytes === undefined) throw source.truncated('a frame', { expected: 4, found: 0 });
    for (; magicBytes !== undefined; magicBytes = await source.takeExactly(4, 'a frame')) {
      const magic = readU32(magicBytes);
      if (magic === MAGIC) yield* readFrame(source);
      else if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) await skipFrame(source);
      else throw fault('ARCHIVE_INVALID', source, `no LZ4 frame (magic 0x${magic.toString(16)})`);
    }
  } finally {
    await source.close();
  }
}

async function skipFrame(source: ByteSource): Promise<void> {
  for (let rest = readU32(await need(source, 4, 'a skippable frame')); rest > 0; ) {
    const bytes = await source.take(rest);
    if (bytes === undefined) throw source.truncated('a skippable frame', { expected: rest, found: 0 });
    rest -= bytes.length;
  }
}

async function* readFrame(source: ByteSource): AsyncGenerator<Uint8Array, void, void> {
  const frame = await readDescriptor(source);
  const window = new Uint8Array(LZ4_WINDOW_SIZE + frame.blockSizeMax);
  const hash = new Xxh32();
  let historyLength = 0;
  let contentLength = 0n;
  for (let length = readU32(await need(source, 4, 'a block')); length !== 0; ) {
    const block = await readBlock(source, { frame, length });
    const end = decodeInto(window, historyLength, { source, block, frame, stored: length >= STORED });
    const chunk = window.slice(LZ4_WINDOW_SIZE, end);
    contentLength += BigInt(chunk.length);
    if (frame.contentChecksum) hash.update(chunk);
    if (frame.linked) {
      window.copyWithin(0, end - LZ4_WINDOW_SIZE, end);
      historyLength = Math.min(LZ4_WINDOW_SIZE, historyLength + chunk.length);
    }
    yield chunk;
    length = readU32(await need(source, 4, 'a block'));
  }
  if (frame.contentChecksum && readU32(await need(source, 4, 'the content checksum')) !== hash.digest())
    throw fault('ARCHIVE_CHECKSUM', source, 'the checksum of the content is wrong');
  if (frame.contentSize !== undefined && frame.contentSize !== contentLength)
    throw fault(
      'ARCHIVE_INVALID',
      source,
      `the frame announced ${frame.contentSize} bytes and has ${contentLength}`,
    );
}

/** The window holds the history in its first 64 KiB, right-aligned, and the block behind it. */
function decodeInto(
  window: Uint8Array,
  historyLength: number,
  options: {
    readonly source: ByteSource;
    readonly block: Uint8Array;
    readonly frame: FrameDescriptor;
    readonly stored: boolean;
  },
): number {
  const { source, block, frame, stored } = options;
  if (stored) {
    window.set(block, LZ4_WINDOW_SIZE);
    return LZ4_WINDOW_SIZE + block.length;
  }
  try {
    return decodeLz4Block(block, window, {
      targetStart: LZ4_WINDOW_SIZE,
      targetEnd: LZ4_WINDOW_SIZE + frame.blockSizeMax,
      historyStart: LZ4_WINDOW_SIZE - historyLength,
    });
  } catch (error) {
    if (!(error instanceof Lz4BlockFault)) throw error;
    throw fault('ARCHIVE_INVALID', source, `a block ${error.message}`);
  }
}

async function readBlock(
  source: ByteSource,
  options: { readonly frame: FrameDescriptor; readonly length: number },
): Promise<Uint8Array> {
  const sizeBytes = (options.length & ~STORED) >>> 0;
  if (sizeBytes > options.frame.blockSizeMax)
    throw fault(
      'ARCHIVE_INVALID',
      source,
      `a block of ${sizeBytes} bytes, more than the frame's ${options.frame.blockSizeMax}`,
    );
  const block = sizeBytes === 0 ? new Uint8Array(0) : await need(source, sizeBytes, 'a block');
  if (options.frame.blockChecksum && readU32(await need(source, 4, 'a block checksum')) !== xxh32(block))
    throw fault('ARCHIVE_CHECKSUM', source, 'the checksum of a block is wrong');
  return block;
}

async function readDescriptor(source: ByteSource): Promise<FrameDescriptor> {
  const head = (await need(source, 2, 'a frame header')).slice();
  const [flags = 0, sizeByte = 0] = head;
  const blockSizeMax = BLOCK_SIZES[sizeByte >>> 4];
  if ((flags & FLG.version) !== FLG_VERSION_1 || (flags & FLG.reserved) !== 0 || (sizeByte & 0x0f) !== 0)
    throw fault(
      'ARCHIVE_UNSUPPORTED',
      source,
      `frame version or flags 0x${flags.toString(16)} are not supported`,
    );
  if (blockSizeMax === undefined)
    throw fault('ARCHIVE_INVALID', source, `block size code ${sizeByte >>> 4} is not known`);
  if ((flags & FLG.dictionary) !== 0)
    throw fault('ARCHIVE_UNSUPPORTED', source, 'the frame needs a dictionary');
  const size =
    (flags & FLG.contentSize) === 0 ? new Uint8Array(0) : (await need(source, 8, 'a frame header')).slice();
  const [checksum] = await need(source, 1, 'a frame header');
  if (checksum !== ((xxh32(Buffer.concat([head, size])) >>> 8) & 0xff))
    throw fault('ARCHIVE_CHECKSUM', source, 'the checksum of the frame header is wrong');
  return {
    linked: (flags & FLG.independent) === 0,
    blockChecksum: (flags & FLG.blockChecksum) !== 0,
    contentChecksum: (flags & FLG.contentChecksum) !== 0,
    contentSize:
      size.length === 0 ? undefined : new DataView(size.buffer, size.byteOffset).getBigUint64(0, true),
    blockSizeMax,
  };
}

async function need(source: ByteSource, sizeBytes: number, what: string): Promise<Uint8Array> {
  const bytes = await source.takeExactly(sizeBytes, what);
  if (bytes === undefined) throw source.truncated(what, { expected: sizeBytes, found: 0 });
  return bytes;
}

/** One frame of independent 1 MiB blocks with a content checksum. Chunks belong to the receiver. */
export async function* compressLz4(
  stream: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const blockSize = BLOCK_SIZES[WRITTEN_BLOCK_CODE] ?? 0;
  const block = new Uint8Array(blockSize);
  const table = createLz4HashTable();
  const hash = new Xxh32();
  let filled = 0;
  yield frameHeader();
  for await (const chunk of stream) {
    throwIfAborted(signal, 'compress lz4');
    hash.update(chunk);
    for (let rest = chunk; rest.length > 0; ) {
      const part = rest.subarray(0, blockSize - filled);
      block.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
      if (filled < blockSize) continue;
      yield encodeBlock(block, table);
      filled = 0;
    }
  }
  if (filled > 0) yield encodeBlock(block.subarray(0, filled), table);
  yield u32(0, hash.digest());
}

function frameHeader(): Uint8Array {
  const flags = FLG_VERSION_1 | FLG.independent | FLG.contentChecksum;
  const descriptor = Uint8Array.of(flags, WRITTEN_BLOCK_CODE << 4);
  return Buffer.concat([u32(MAGIC), descriptor, Uint8Array.of((xxh32(descriptor) >>> 8) & 0xff)]);
}

function encodeBlock(block: Uint8Array, table: Int32Array): Uint8Array {
  const target = new Uint8Array(4 + lz4BlockBound(block.length));
  const length = encodeLz4Block(block, target.subarray(4), table);
  if (length >= block.length) return Buffer.concat([u32((block.length | STORED) >>> 0), block]);
  target.set(u32(length));
  return target.subarray(0, 4 + length);
}

function u32(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setUint32(4 * index, value, true);
  return bytes;
}

function readU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

function fault(
  code: 'ARCHIVE_INVALID' | 'ARCHIVE_CHECKSUM' | 'ARCHIVE_UNSUPPORTED',
  source: ByteSource,
  what: string,
): ArchiveError {
  const { position } = source;
  return new ArchiveError({
    code,
    operation: READ_OPERATION,
    message: `${READ_OPERATION}: ${what}, before byte ${position}`,
    context: { position },
  });
}
