import type { RelTag, SlruKind } from '@neon-snapshot/postgres';
import { bytesToHex, compareBytes, hexToBytes } from './bytes.ts';
import { NeonLayerError } from './layer-error.ts';

/*
 * A key is 18 bytes, big endian, ordered byte by byte (Neon's pageserver_api/src/key.rs):
 *   0 kind u8 | 1 field2 u32 | 5 field3 u32 | 9 field4 u32 | 13 field5 u8 | 14 field6 u32
 * Relation blocks: tablespace, database, relfilenumber, fork, block. Functions return a fresh array that the caller owns.
 */

/** Bytes of a key. */
export const KEY_SIZE = 18;
/** Bytes before the block number (field6): equal for all blocks of one relation fork. */
export const KEY_PREFIX_SIZE = 14;
/** The last field of a relation's or SLRU segment's size key; also the block number that no relation can have. */
export const SIZE_KEY_BLOCK = 0xffff_ffff;

const KIND_RELATION = 0x00;
const KIND_SLRU = 0x01;
const KIND_TWO_PHASE = 0x02;
const KIND_CONTROL = 0x03;
const KIND_REPLICATION_ORIGIN = 0x63;
const KIND_RELATION_DIRECTORY_V2 = 0x65;

/** SLRU kinds in the order of their number in keys: `pg_xact`, `pg_multixact/members`, `pg_multixact/offsets`. */
export const SLRU_KINDS: readonly SlruKind[] = ['clog', 'multixact_members', 'multixact_offsets'];

/** The six fields of a key in order, as numbers. */
export type KeyFields = readonly [number, number, number, number, number, number];

/** Builds a key from its six fields. */
export function keyFromFields([kind, field2, field3, field4, field5, field6]: KeyFields): Uint8Array {
  const key = new Uint8Array(KEY_SIZE);
  // Byte by byte: a view of each key costs several times as much.
  key[0] = kind;
  setU32(key, 1, field2);
  setU32(key, 5, field3);
  setU32(key, 9, field4);
  key[13] = field5;
  setU32(key, 14, field6);
  return key;
}

function setU32(key: Uint8Array, at: number, value: number): void {
  key[at] = value >>> 24;
  key[at + 1] = value >>> 16;
  key[at + 2] = value >>> 8;
  key[at + 3] = value;
}

/** The six fields of a key. */
export function fieldsOfKey(key: Uint8Array): KeyFields {
  assertKey(key);
  const view = new DataView(key.buffer, key.byteOffset, KEY_SIZE);
  return [
    view.getUint8(0),
    view.getUint32(1),
    view.getUint32(5),
    view.getUint32(9),
    view.getUint8(13),
    view.getUint32(14),
  ];
}

/** The smallest key. */
export const KEY_MIN: Uint8Array = new Uint8Array(KEY_SIZE);
/** Above every key; used as an exclusive end only. */
export const KEY_MAX: Uint8Array = new Uint8Array(KEY_SIZE).fill(0xff);

/** Directory of databases. */
export const DBDIR_KEY: Uint8Array = keyFromFields([KIND_RELATION, 0, 0, 0, 0, 0]);
export const TWO_PHASE_DIRECTORY_KEY: Uint8Array = keyFromFields([KIND_TWO_PHASE, 0, 0, 0, 0, 0]);
/** `global/pg_control` as imported. */
export const CONTROL_FILE_KEY: Uint8Array = keyFromFields([KIND_CONTROL, 0, 0, 0, 0, 0]);
/** The tracked CheckPoint struct. */
export const CHECKPOINT_KEY: Uint8Array = keyFromFields([KIND_CONTROL, 0, 0, 0, 0, 1]);
/** Aux files of old tenants; obsolete and never inherited. */
export const AUX_FILES_V1_KEY: Uint8Array = keyFromFields([KIND_CONTROL, 0, 0, 0, 0, 2]);
/** Where the sparse (metadata) keys begin: ranges of the keyspace in which a missing key is no error. */
export const SPARSE_KEYS_START: Uint8Array = keyFromFields([0x60, 0, 0, 0, 0, 0]);
/** Where the sparse keys end, exclusive. */
export const SPARSE_KEYS_END: Uint8Array = keyFromFields([0x7f, 0, 0, 0, 0, 0]);

/** `pg_filenode.map` of a database; of the shared catalogs with 1664 and 0. */
export function relMapKey(spcNode: number, dbNode: number): Uint8Array {
  return keyFromFields([KIND_RELATION, spcNode, dbNode, 0, 0, 0]);
}

/** Directory of a database's relation forks. */
export function relDirKey(spcNode: number, dbNode: number): Uint8Array {
  return keyFromFields([KIND_RELATION, spcNode, dbNode, 0, 0, 1]);
}

/** One 8 KiB page. */
export function relBlockKey(tag: RelTag, blockNumber: number): Uint8Array {
  // As `keyFromFields` without the list: ingest makes one for every change.
  const key = new Uint8Array(KEY_SIZE);
  setU32(key, 1, tag.spcNode);
  setU32(key, 5, tag.dbNode);
  setU32(key, 9, tag.relNode);
  key[13] = tag.forkNum;
  setU32(key, 14, blockNumber);
  return key;
}

/** Number of blocks of one relation fork. */
export function relSizeKey(tag: RelTag): Uint8Array {
  return relBlockKey(tag, SIZE_KEY_BLOCK);
}

/** Directory of an SLRU's segments. */
export function slruDirKey(kind: SlruKind): Uint8Array {
  return keyFromFields([KIND_SLRU, SLRU_KINDS.indexOf(kind), 0, 0, 0, 0]);
}

/** One page of an SLRU segment; `blockNumber` 0 to 31 within the segment. */
export function slruBlockKey(kind: SlruKind, segno: number, blockNumber: number): Uint8Array {
  return keyFromFields([KIND_SLRU, SLRU_KINDS.indexOf(kind), 1, segno, 0, blockNumber]);
}

/** Number of pages of an SLRU segment. */
export function slruSizeKey(kind: SlruKind, segno: number): Uint8Array {
  return slruBlockKey(kind, segno, SIZE_KEY_BLOCK);
}

/** State of one prepared transaction; `xid` is the 32-bit id up to major 16 and the full id from 17 on. */
export function twoPhaseFileKey(xid: bigint): Uint8Array {
  const high = Number(xid >> 40n);
  return keyFromFields([
    KIND_TWO_PHASE,
    0,
    0,
    high,
    Number((xid >> 32n) & 0xffn),
    Number(xid & 0xffff_ffffn),
  ]);
}

/** Progress of one replication origin, 0 to 65535. */
export function replOriginKey(originId: number): Uint8Array {
  return keyFromFields([KIND_REPLICATION_ORIGIN, 0, 0, 0, 0, originId]);
}

/** Existence of a relation fork in the newer relation directory (`rel_size_migration` "migrating" and "migrated"). */
export function relDirV2Key(tag: RelTag): Uint8Array {
  return keyFromFields([KIND_RELATION_DIRECTORY_V2, tag.spcNode, tag.dbNode, tag.relNode, tag.forkNum, 1]);
}

/** The key after `key`; the largest key has none and gives {@link KEY_MAX}. */
export function nextKey(key: Uint8Array): Uint8Array {
  const next = Uint8Array.from(assertKey(key));
  for (let i = KEY_SIZE - 1; i >= 0; i -= 1) {
    const byte = next[i] ?? 0;
    next[i] = byte + 1;
    if (byte !== 0xff) return next;
  }
  return Uint8Array.from(KEY_MAX);
}

/** Key order: negative, 0 or positive. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return compareBytes(a, b);
}

/** 36 upper-case hex digits, as in layer names. */
export function keyToHex(key: Uint8Array): string {
  return bytesToHex(assertKey(key)).toUpperCase();
}

/** Parses 36 hex digits; throws `NEON_LAYER_INVALID_NAME`. */
export function keyFromHex(text: string): Uint8Array {
  const key = hexToBytes(text);
  if (key?.length !== KEY_SIZE) {
    throw new NeonLayerError({
      code: 'NEON_LAYER_INVALID_NAME',
      operation: 'parse',
      message: `A key is 36 hex digits; found ${JSON.stringify(text.slice(0, 60))}.`,
    });
  }
  return key;
}

/** False for keys that a branch does not take over from its ancestor: old aux files, aux files, replication origins. */
export function isInheritedKey(key: Uint8Array): boolean {
  const kind = key[0];
  if (kind === 0x62 || kind === KIND_REPLICATION_ORIGIN) return false;
  return kind !== KIND_CONTROL || compareKeys(key, AUX_FILES_V1_KEY) !== 0;
}

/** True in the ranges where a missing key is no error and an empty value means none. */
export function isSparseKey(key: Uint8Array): boolean {
  const kind = key[0] ?? 0;
  return kind >= 0x60 && kind < 0x7f;
}

/** Throws unless the array has the length of a key. */
export function assertKey(key: Uint8Array): Uint8Array {
  if (key.length !== KEY_SIZE) {
    throw new NeonLayerError({
      code: 'NEON_LAYER_INVALID_ARGUMENT',
      operation: 'encode',
      message: `A key has ${KEY_SIZE} bytes; found ${key.length}.`,
    });
  }
  return key;
}
