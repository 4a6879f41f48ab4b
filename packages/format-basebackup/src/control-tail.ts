import {
  decodeSeekTable,
  decompress,
  readTar,
  SEEK_TABLE_FOOTER_SIZE,
  type SeekTableEntry,
  seekTableSize,
  TAR_BLOCK_SIZE,
} from '@neon-snapshot/archive';
import { CONTROL_FILE_SIZE } from '@neon-snapshot/postgres';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import type { StoredTar } from './backup-set.ts';
import { CONTROL_FILE_PATH } from './layout.ts';
import { readSmallMember, type TarPlace } from './tar-members.ts';

/** Behind `pg_control` there is the end mark, and what `pg_basebackup -R` appends. */
const TAIL_SIZE_BYTES = 64 * 1024;
const SEEK_TABLE_SIZE_MAX_BYTES = 64 * 1024 * 1024;
/** What the frames of the tail may decompress to: ours have 1 MiB each. */
const TAIL_FRAMES_SIZE_MAX_BYTES = 16 * 1024 * 1024;

/**
 * `global/pg_control` of a base.tar, by its last bytes: three requests at most. Undefined where it can't be had so: behind other
 * compressions than zstd with a seek table, or where much comes after it.
 */
export async function findControlFile(place: TarPlace): Promise<Uint8Array | undefined> {
  const tail = await readTail(place);
  if (tail === undefined) return undefined;
  const name = Buffer.from(`${CONTROL_FILE_PATH}\0`);
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.length);
  for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) {
    if (at % TAR_BLOCK_SIZE !== 0) continue;
    const found = await firstMember(tail.subarray(at));
    if (found?.length === CONTROL_FILE_SIZE) return found;
  }
  return undefined;
}

/** The last bytes of the decompressed tar, from a header's place on. */
async function readTail({ storage, tar, signal }: TarPlace): Promise<Uint8Array | undefined> {
  if (tar.compression === 'zstd') return readTailFrames({ storage, tar, signal });
  if (tar.compression !== undefined) return undefined;
  const offset = Math.max(0, tar.sizeBytes - TAIL_SIZE_BYTES);
  return readRange(
    { storage, tar, signal },
    { offset: offset - (offset % TAR_BLOCK_SIZE), end: tar.sizeBytes },
  );
}

async function readTailFrames(place: TarPlace): Promise<Uint8Array | undefined> {
  const { tar, signal } = place;
  const table = await readSeekTable(place);
  if (table === undefined) return undefined;
  const { frames, tableBytes } = table;
  const total = frames.reduce((sum, { decompressedBytes }) => sum + decompressedBytes, 0);
  let [stored, plain, first] = [0, 0, frames.length];
  while (first > 0 && plain < TAIL_SIZE_BYTES) {
    first -= 1;
    stored += frames[first]?.compressedBytes ?? 0;
    plain += frames[first]?.decompressedBytes ?? 0;
  }
  const end = tar.sizeBytes - tableBytes;
  if (plain > TAIL_FRAMES_SIZE_MAX_BYTES || stored > end) return undefined;
  const bytes = await readRange(place, { offset: end - stored, end });
  try {
    const tail = await readAll(decompress(only(bytes), 'zstd', { signal }), {
      sizeMaxBytes: plain,
      key: tar.key,
    });
    // Headers stand at multiples of 512 of the whole tar.
    return tail.subarray((TAR_BLOCK_SIZE - ((total - plain) % TAR_BLOCK_SIZE)) % TAR_BLOCK_SIZE);
  } catch {
    // Whoever reads the tar from its start will say what is wrong with it.
    return undefined;
  }
}

interface FoundSeekTable {
  readonly frames: readonly SeekTableEntry[];
  readonly tableBytes: number;
}

async function readSeekTable(place: TarPlace): Promise<FoundSeekTable | undefined> {
  const end = place.tar.sizeBytes;
  if (end < SEEK_TABLE_FOOTER_SIZE) return undefined;
  const size = seekTableSize(await readRange(place, { offset: end - SEEK_TABLE_FOOTER_SIZE, end }));
  if (size === undefined || size > Math.min(end, SEEK_TABLE_SIZE_MAX_BYTES)) return undefined;
  const frames = decodeSeekTable(await readRange(place, { offset: end - size, end }));
  return frames === undefined ? undefined : { frames, tableBytes: size };
}

async function readRange(
  {
    storage,
    tar,
    signal,
  }: { readonly storage: Storage; readonly tar: StoredTar; readonly signal?: AbortSignal | undefined },
  { offset, end }: { readonly offset: number; readonly end: number },
): Promise<Uint8Array> {
  const length = end - offset;
  const { body } = await storage.get(tar.key, { range: { offset, length }, signal });
  return readAll(body, { sizeMaxBytes: length, key: tar.key });
}

/** The body of the first member, where the bytes are a tar with `pg_control` at its start. */
async function firstMember(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    for await (const member of readTar(only(bytes))) {
      return member.path === CONTROL_FILE_PATH ? await readSmallMember(member, CONTROL_FILE_SIZE) : undefined;
    }
  } catch {
    // The name stood in the contents of a file.
  }
  return undefined;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}
