import { zstdDecompressSync } from 'node:zlib';
import { BLCKSZ, type DecodedWalBlock, WAL_IMAGE_COMPRESSION } from '@neon-snapshot/postgres';
import { arrayOf, type Bytes } from '../bytes.ts';
import { invalidRecord } from '../redo-fault.ts';
import { decompressLz4Block } from './lz4-block.ts';
import { decompressPglz } from './pglz.ts';

const plain = new Uint8Array(BLCKSZ);

/** `RestoreBlockImage`: the page as the record holds it, its hole filled with zeros. */
export function restoreImage(record: Uint8Array, block: DecodedWalBlock, target: Bytes): void {
  const page = arrayOf(target);
  const { imageOffset, imageLength, holeOffset, holeLength } = block;
  const stored = record.subarray(imageOffset, imageOffset + imageLength);
  const image = plain.subarray(0, BLCKSZ - holeLength);
  switch (block.compression) {
    case WAL_IMAGE_COMPRESSION.none:
      spreadImage(stored, page, { holeOffset, holeLength });
      return;
    case WAL_IMAGE_COMPRESSION.pglz:
      decompressPglz(stored, image);
      break;
    case WAL_IMAGE_COMPRESSION.lz4:
      decompressLz4Block(stored, image);
      break;
    default:
      decompressZstd(stored, image);
  }
  spreadImage(image, page, { holeOffset, holeLength });
}

function decompressZstd(stored: Uint8Array, image: Uint8Array): void {
  let bytes: Uint8Array;
  try {
    bytes = zstdDecompressSync(stored, { maxOutputLength: BLCKSZ });
  } catch (error) {
    throw invalidRecord(`zstd image: ${error instanceof Error ? error.message : error}`);
  }
  if (bytes.length !== image.length) {
    throw invalidRecord(`zstd image has ${bytes.length} bytes; expected ${image.length}`);
  }
  image.set(bytes);
}

function spreadImage(
  image: Uint8Array,
  page: Uint8Array,
  hole: { readonly holeOffset: number; readonly holeLength: number },
): void {
  const { holeOffset, holeLength } = hole;
  page.set(image.subarray(0, holeOffset));
  page.fill(0, holeOffset, holeOffset + holeLength);
  page.set(image.subarray(holeOffset), holeOffset + holeLength);
}
