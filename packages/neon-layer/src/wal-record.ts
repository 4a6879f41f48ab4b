import type { BeReader, BeWriter } from './bytes.ts';

/*
 * The WAL records of delta layers, bincode BE (Neon's wal_decoder/src/models/record.rs): u32 kind, then its fields.
 *   0 Postgres                bool will_init, u64 n, n bytes: the whole XLogRecord without page headers
 *   1 ClearVisibilityMapFlags Option<u32> new block, Option<u32> old block, u8 flags
 *   2 ClogSetCommitted        u64 n, n × u32 xid, i64 timestamp
 *   3 ClogSetAborted          u64 n, n × u32 xid
 *   4 MultixactOffsetCreate   u32 mid, u32 moff
 *   5 MultixactMembersCreate  u32 moff, u64 n, n × (u32 xid, u32 status)
 *   6 AuxFile                 String path, Option<Bytes> content; obsolete
 *   7 TruncateVisibilityMap   u64 byte, u64 bit offset
 */

/** A change to one key that is applied to an older state of it. */
export type NeonWalRecord =
  | { readonly kind: 'postgres'; readonly willInit: boolean; readonly record: Uint8Array }
  | {
      readonly kind: 'clear-visibility-map-flags';
      readonly newHeapBlock: number | undefined;
      readonly oldHeapBlock: number | undefined;
      readonly flags: number;
    }
  /** `timestamp`: µs since 2000-01-01 UTC. */
  | { readonly kind: 'clog-set-committed'; readonly xids: readonly number[]; readonly timestamp: bigint }
  | { readonly kind: 'clog-set-aborted'; readonly xids: readonly number[] }
  | { readonly kind: 'multixact-offset-create'; readonly mid: number; readonly moff: number }
  | {
      readonly kind: 'multixact-members-create';
      readonly moff: number;
      readonly members: readonly { readonly xid: number; readonly status: number }[];
    }
  | { readonly kind: 'aux-file'; readonly path: string; readonly content: Uint8Array | undefined }
  | { readonly kind: 'truncate-visibility-map'; readonly byte: bigint; readonly bitOffset: bigint };

/** Reads the record that follows in a value; unknown kinds are refused. */
export function readWalRecord(reader: BeReader): NeonWalRecord {
  const kind = reader.u32();
  switch (kind) {
    case 0:
      return { kind: 'postgres', willInit: reader.bool(), record: reader.bytes(reader.count(1)) };
    case 1:
      return {
        kind: 'clear-visibility-map-flags',
        newHeapBlock: reader.option(() => reader.u32()),
        oldHeapBlock: reader.option(() => reader.u32()),
        flags: reader.u8(),
      };
    case 2:
      return { kind: 'clog-set-committed', xids: readXids(reader), timestamp: reader.i64() };
    case 3:
      return { kind: 'clog-set-aborted', xids: readXids(reader) };
    case 4:
      return { kind: 'multixact-offset-create', mid: reader.u32(), moff: reader.u32() };
    case 5:
      return { kind: 'multixact-members-create', moff: reader.u32(), members: readMembers(reader) };
    case 6:
      return {
        kind: 'aux-file',
        path: reader.string(),
        content: reader.option(() => reader.bytes(reader.count(1))),
      };
    case 7:
      return { kind: 'truncate-visibility-map', byte: reader.u64(), bitOffset: reader.u64() };
    default:
      return reader.fail(`the WAL record kind ${kind} is not known, known are 0 to 7`);
  }
}

/** Writes a record, its kind first. */
export function writeWalRecord(writer: BeWriter, record: NeonWalRecord): void {
  switch (record.kind) {
    case 'postgres':
      writer
        .u32(0)
        .u8(record.willInit ? 1 : 0)
        .u64(record.record.length)
        .bytes(record.record);
      return;
    case 'clear-visibility-map-flags':
      writer.u32(1);
      writeOptionalU32(writer, record.newHeapBlock);
      writeOptionalU32(writer, record.oldHeapBlock);
      writer.u8(record.flags);
      return;
    case 'clog-set-committed':
      writeXids(writer.u32(2), record.xids);
      writer.i64(record.timestamp);
      return;
    case 'clog-set-aborted':
      writeXids(writer.u32(3), record.xids);
      return;
    case 'multixact-offset-create':
      writer.u32(4).u32(record.mid).u32(record.moff);
      return;
    case 'multixact-members-create':
      writer.u32(5).u32(record.moff).u64(record.members.length);
      for (const { xid, status } of record.members) writer.u32(xid).u32(status);
      return;
    case 'aux-file':
      writeAuxFile(writer.u32(6), record.path, record.content);
      return;
    case 'truncate-visibility-map':
      writer.u32(7).u64(record.byte).u64(record.bitOffset);
  }
}

function readXids(reader: BeReader): readonly number[] {
  return Array.from({ length: reader.count(4) }, () => reader.u32());
}

function writeXids(writer: BeWriter, xids: readonly number[]): void {
  writer.u64(xids.length);
  for (const xid of xids) writer.u32(xid);
}

function readMembers(reader: BeReader): readonly { readonly xid: number; readonly status: number }[] {
  return Array.from({ length: reader.count(8) }, () => ({ xid: reader.u32(), status: reader.u32() }));
}

function writeOptionalU32(writer: BeWriter, value: number | undefined): void {
  writer.u8(value === undefined ? 0 : 1);
  if (value !== undefined) writer.u32(value);
}

function writeAuxFile(writer: BeWriter, path: string, content: Uint8Array | undefined): void {
  const name = new TextEncoder().encode(path);
  writer
    .u64(name.length)
    .bytes(name)
    .u8(content === undefined ? 0 : 1);
  if (content !== undefined) writer.u64(content.length).bytes(content);
}
