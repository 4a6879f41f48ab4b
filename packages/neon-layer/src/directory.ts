import { BeReader, BeWriter } from './bytes.ts';

/*
 * Directory values, bincode BE (Neon's pgdatadir_mapping.rs): u64 count, then the items.
 *   DbDirectory   (u32 tablespace, u32 database, u8 has relation map)
 *   RelDirectory  (u32 relfilenumber, u8 fork)
 *   SlruSegmentDirectory  u32 segno
 *   TwoPhaseDirectory     u32 xid up to major 16, u64 full xid from 17 on
 * The order of items means nothing (Neon's is a hash order); it is kept by decoding and encoding.
 */

export interface DbDirectoryEntry {
  readonly spcNode: number;
  readonly dbNode: number;
  /** False for a database whose pages came before its relation map. */
  readonly hasRelationMap: boolean;
}

export interface RelDirectoryEntry {
  readonly relNode: number;
  readonly forkNum: number;
}

export function encodeDbDirectory(entries: readonly DbDirectoryEntry[]): Uint8Array {
  const writer = new BeWriter().u64(entries.length);
  for (const entry of entries) {
    writer
      .u32(entry.spcNode)
      .u32(entry.dbNode)
      .u8(entry.hasRelationMap ? 1 : 0);
  }
  return writer.finish();
}

/** Throws `NEON_LAYER_INVALID_VALUE`, as all decoders here. */
export function decodeDbDirectory(bytes: Uint8Array): readonly DbDirectoryEntry[] {
  return decodeItems(bytes, 'The directory of databases', 9, (reader) => ({
    spcNode: reader.u32(),
    dbNode: reader.u32(),
    hasRelationMap: reader.bool(),
  }));
}

export function encodeRelDirectory(entries: readonly RelDirectoryEntry[]): Uint8Array {
  const writer = new BeWriter().u64(entries.length);
  for (const entry of entries) writer.u32(entry.relNode).u8(entry.forkNum);
  return writer.finish();
}

export function decodeRelDirectory(bytes: Uint8Array): readonly RelDirectoryEntry[] {
  return decodeItems(bytes, 'A directory of relations', 5, (reader) => ({
    relNode: reader.u32(),
    forkNum: reader.u8(),
  }));
}

export function encodeSlruSegmentDirectory(segments: readonly number[]): Uint8Array {
  const writer = new BeWriter().u64(segments.length);
  for (const segno of segments) writer.u32(segno);
  return writer.finish();
}

export function decodeSlruSegmentDirectory(bytes: Uint8Array): readonly number[] {
  return decodeItems(bytes, 'A directory of SLRU segments', 4, (reader) => reader.u32());
}

/** `postgresMajor` decides the width: 32-bit ids up to 16, full ids from 17 on. */
export function encodeTwoPhaseDirectory(xids: readonly bigint[], postgresMajor: number): Uint8Array {
  const writer = new BeWriter().u64(xids.length);
  for (const xid of xids) {
    if (postgresMajor >= 17) writer.u64(xid);
    else writer.u32(Number(xid & 0xffff_ffffn));
  }
  return writer.finish();
}

export function decodeTwoPhaseDirectory(bytes: Uint8Array, postgresMajor: number): readonly bigint[] {
  const width = postgresMajor >= 17 ? 8 : 4;
  return decodeItems(bytes, 'The directory of prepared transactions', width, (reader) =>
    width === 8 ? reader.u64() : BigInt(reader.u32()),
  );
}

function decodeItems<T>(
  bytes: Uint8Array,
  what: string,
  itemSize: number,
  read: (reader: BeReader) => T,
): readonly T[] {
  const reader = new BeReader(bytes, what);
  const count = reader.count(itemSize);
  const items: T[] = [];
  for (let i = 0; i < count; i += 1) items.push(read(reader));
  reader.end();
  return items;
}
