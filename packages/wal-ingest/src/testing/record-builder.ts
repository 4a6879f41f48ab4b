/* WAL records made by hand, part by part (xlogrecord.h). */
import { encodeWalRecord, type RelTag, ZERO_LSN } from '@neon-snapshot/postgres';

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

export function u32(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return bytes;
}

export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

export function zeros(length: number): Uint8Array {
  return new Uint8Array(length);
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

export interface BlockParts {
  /** Default: its place among the blocks. */
  readonly id?: number;
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly data?: Uint8Array;
  readonly willInit?: boolean;
  readonly image?: ImageParts;
}

export interface ImageParts {
  /** Without the hole; compressed or not. */
  readonly bytes: Uint8Array;
  readonly holeOffset?: number;
  /** Stored only with a compressed image. */
  readonly holeLength?: number;
  /** `bimg_info`. */
  readonly info: number;
}

export interface RecordParts {
  readonly resourceManager: number;
  readonly info: number;
  readonly xid?: number;
  readonly blocks?: readonly BlockParts[];
  readonly main?: Uint8Array;
  readonly origin?: number;
}

/** A whole record with its CRC. */
export function makeRecord(parts: RecordParts): Uint8Array {
  const { resourceManager, info, xid = 0, blocks = [], main = zeros(0), origin } = parts;
  const items = blocks.map((block, i) => blockHeader({ id: i, ...block }));
  if (origin !== undefined) items.push(joined(u8(253), u16(origin)));
  if (main.length > 255) items.push(joined(u8(254), u32(main.length)));
  else if (main.length > 0) items.push(joined(u8(255), u8(main.length)));
  const payload = blocks.flatMap(({ image, data }) => [image?.bytes ?? zeros(0), data ?? zeros(0)]);
  const content = joined(...items, ...payload, main);
  return encodeWalRecord({ xid, previous: ZERO_LSN, info, resourceManager }, content);
}

function blockHeader({
  id,
  tag,
  blockNumber,
  data,
  willInit,
  image,
}: BlockParts & { readonly id: number }): Uint8Array {
  const flags =
    tag.forkNum |
    (image === undefined ? 0 : 0x10) |
    (data === undefined ? 0 : 0x20) |
    (willInit === true ? 0x40 : 0);
  return joined(
    u8(id),
    u8(flags),
    u16(data?.length ?? 0),
    image === undefined ? zeros(0) : imageHeader(image),
    u32(tag.spcNode, tag.dbNode, tag.relNode, blockNumber),
  );
}

function imageHeader({ bytes, holeOffset = 0, holeLength, info }: ImageParts): Uint8Array {
  const hole = holeLength === undefined ? zeros(0) : u16(holeLength);
  return joined(u16(bytes.length), u16(holeOffset), u8(info), hole);
}
