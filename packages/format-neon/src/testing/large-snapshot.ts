import { BLCKSZ, RELMAP_SIZE } from '@neon-snapshot/postgres';
import { type MadeUpSnapshot, makeSnapshot } from './made-up-snapshot.ts';

const DATABASES = 12;
const RELATION_BYTES = 1024 * 1024;

/** 12 MB that do not compress, in twelve databases, each of which is a layer of its own: the same in every process. */
export function makeLargeSnapshot(): MadeUpSnapshot {
  const files: Record<string, Uint8Array> = {};
  for (let database = 0; database < DATABASES; database += 1) {
    const directory = `base/${16400 + database}`;
    files[`${directory}/pg_filenode.map`] = new Uint8Array(RELMAP_SIZE[17]).fill(7);
    files[`${directory}/2619`] = noise(RELATION_BYTES, database + 1);
  }
  return makeSnapshot({ files, dataChecksums: false });
}

function noise(sizeBytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(sizeBytes / 4);
  let state = seed;
  for (let index = 0; index < words.length; index += 1) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  const bytes = new Uint8Array(words.buffer);
  // No pd_flags: Neon's own bit in them would not survive an export.
  for (let page = 0; page < sizeBytes; page += BLCKSZ) bytes.fill(0, page + 10, page + 12);
  return bytes;
}
