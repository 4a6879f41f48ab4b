import { fieldsOfKey, SIZE_KEY_BLOCK } from './key.ts';
import { BLOB_BYTES_MAX, BLOCK_SIZE, CLOG_PAGE_BYTES_MAX } from './layer-format.ts';

/** Bytes that the value of a key may have; met before anything is allocated for it. */
export function valueSizeMax(key: Uint8Array): number {
  const [kind, , isSegment, relNode, , blockNumber] = fieldsOfKey(key);
  const isSize = blockNumber === SIZE_KEY_BLOCK;
  if (kind === 0x00 && relNode !== 0) return isSize ? 4 : BLOCK_SIZE;
  if (kind === 0x01 && isSegment === 1) return isSize ? 4 : CLOG_PAGE_BYTES_MAX;
  if (kind === 0x03) return BLOCK_SIZE;
  return BLOB_BYTES_MAX;
}
