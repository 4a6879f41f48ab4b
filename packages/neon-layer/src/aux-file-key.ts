import { KEY_SIZE } from './key.ts';

/*
 * Aux file key (Neon's pageserver/src/aux_file.rs): 62 | 00 00 d1 d2 | last 13 bytes of the 128-bit FNV-1a hash of the path
 * without its matched prefix. `d1 d2` name the prefix.
 */

const FNV_OFFSET_BASIS = 0x6c62272e07bb014262b821756295c58dn;
const FNV_PRIME = 0x0000000001000000000000000000013bn;
const MASK_128 = (1n << 128n) - 1n;

const REPLORIGIN_CHECKPOINT = 'pg_logical/replorigin_checkpoint';
const PREFIXES: readonly (readonly [string, number, number])[] = [
  ['pg_logical/mappings/', 0x01, 0x01],
  ['pg_logical/snapshots/', 0x01, 0x02],
  ['pg_logical/', 0x01, 0xff],
  ['pg_replslot/', 0x02, 0x01],
  ['pg_stat/', 0x03, 0x01],
];

/** Key of an aux file by its PGDATA-relative path. Two paths may share a key; the value lists both. */
export function auxFileKey(path: string): Uint8Array {
  const [text, directory, kind] = splitPath(path);
  const key = new Uint8Array(KEY_SIZE);
  key[0] = 0x62;
  key[3] = directory;
  key[4] = kind;
  let hash = fnv1a128(new TextEncoder().encode(text));
  for (let i = KEY_SIZE - 1; i >= 5; i -= 1) {
    key[i] = Number(hash & 0xffn);
    hash >>= 8n;
  }
  return key;
}

function splitPath(path: string): readonly [string, number, number] {
  if (path === REPLORIGIN_CHECKPOINT) return ['', 0x01, 0x03];
  for (const [prefix, directory, kind] of PREFIXES) {
    if (path.startsWith(prefix)) return [path.slice(prefix.length), directory, kind];
  }
  return [path, 0xff, 0xff];
}

function fnv1a128(bytes: Uint8Array): bigint {
  let hash = FNV_OFFSET_BASIS;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & MASK_128;
  return hash;
}
