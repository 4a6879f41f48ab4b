import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import { bytesToHex, compareBytes } from './bytes.ts';
import { idToBytes } from './identifiers.ts';
import { KEY_SIZE, keyToHex } from './key.ts';
import { NeonLayerError, type NeonLayerErrorCode } from './layer-error.ts';
import { BLOCK_SIZE, DELTA_MAGIC, IMAGE_MAGIC, LAYER_FORMAT_VERSION } from './layer-format.ts';
import type { LayerDesc } from './layer-name.ts';

/*
 * Block 0 of a layer file, big endian:
 *   0 magic u16 | 2 version u16 | 4 tenant[16] | 20 timeline[16] | 36 key start[18] | 54 key end[18] | 72 LSN (start) u64
 *   image: 80 index start block u32 | 84 root block u32                      (88 bytes)
 *   delta: 80 LSN end u64 | 88 index start block u32 | 92 root block u32     (96 bytes)
 */

/** What the first block of a layer file says. */
export interface LayerSummary {
  readonly desc: LayerDesc;
  /** 32 lower-case hex digits. */
  readonly tenantId: string;
  /** Of the timeline that wrote the layer: may differ from the one that lists it. */
  readonly timelineId: string;
  /** Block of the file where the index begins. */
  readonly indexStartBlock: number;
  /** Relative to `indexStartBlock`. */
  readonly indexRootBlock: number;
}

const SUMMARY_SIZE: Readonly<Record<LayerDesc['kind'], number>> = { image: 88, delta: 96 };

/** The first block of a layer file, zeros behind the summary. */
export function encodeLayerSummary(summary: LayerSummary): Uint8Array {
  const { desc } = summary;
  const block = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(block.buffer);
  view.setUint16(0, desc.kind === 'image' ? IMAGE_MAGIC : DELTA_MAGIC);
  view.setUint16(2, LAYER_FORMAT_VERSION);
  block.set(idToBytes(summary.tenantId), 4);
  block.set(idToBytes(summary.timelineId), 20);
  block.set(desc.keyStart, 36);
  block.set(desc.keyEnd, 54);
  view.setBigUint64(72, desc.lsnStart);
  if (desc.kind === 'delta') view.setBigUint64(80, desc.lsnEnd);
  const blocksOffset = SUMMARY_SIZE[desc.kind] - 8;
  view.setUint32(blocksOffset, summary.indexStartBlock);
  view.setUint32(blocksOffset + 4, summary.indexRootBlock);
  return block;
}

/**
 * Reads the first block of a file of `sizeBytes`. Magic, version and block numbers are checked.
 * Throws `NEON_LAYER_TRUNCATED`, `NEON_LAYER_UNKNOWN_VERSION`, `NEON_LAYER_CORRUPT`.
 */
export function decodeLayerSummary(block: Uint8Array, sizeBytes: number): LayerSummary {
  if (block.length < SUMMARY_SIZE.delta || sizeBytes < 2 * BLOCK_SIZE || sizeBytes % BLOCK_SIZE !== 0) {
    throw layerFault(
      'NEON_LAYER_TRUNCATED',
      `a file of ${sizeBytes} bytes is no whole number of blocks, two at least`,
    );
  }
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const kind = decodeKind(view);
  const lsnStart = view.getBigUint64(72);
  const blocksOffset = SUMMARY_SIZE[kind] - 8;
  const summary: LayerSummary = {
    desc: {
      kind,
      keyStart: block.slice(36, 36 + KEY_SIZE),
      keyEnd: block.slice(54, 54 + KEY_SIZE),
      lsnStart: lsn(lsnStart),
      lsnEnd: kind === 'delta' ? lsn(view.getBigUint64(80)) : endOfImage(lsnStart),
    },
    tenantId: bytesToHex(block.subarray(4, 20)),
    timelineId: bytesToHex(block.subarray(20, 36)),
    indexStartBlock: view.getUint32(blocksOffset),
    indexRootBlock: view.getUint32(blocksOffset + 4),
  };
  checkBlocks(summary, sizeBytes / BLOCK_SIZE);
  return summary;
}

/** Throws `NEON_LAYER_MISMATCH` unless the file is the layer that its name and tenant promise. */
export function checkSummary(summary: LayerSummary, desc: LayerDesc, tenantId: string): void {
  const found = summary.desc;
  const facts: readonly (readonly [string, string, string])[] = [
    ['kind', desc.kind, found.kind],
    ['tenant id', tenantId, summary.tenantId],
    ['first key', keyToHex(desc.keyStart), keyToHex(found.keyStart)],
    ['end key', keyToHex(desc.keyEnd), keyToHex(found.keyEnd)],
    ['LSN', formatLsn(desc.lsnStart), formatLsn(found.lsnStart)],
    ['end LSN', formatLsn(desc.lsnEnd), formatLsn(found.lsnEnd)],
  ];
  for (const [what, expected, actual] of facts) {
    if (expected === actual) continue;
    throw layerFault('NEON_LAYER_MISMATCH', `its ${what} is ${actual}, expected ${expected}`);
  }
}

function decodeKind(view: DataView): LayerDesc['kind'] {
  const magic = view.getUint16(0);
  if (magic !== IMAGE_MAGIC && magic !== DELTA_MAGIC) {
    throw layerFault('NEON_LAYER_CORRUPT', `its magic is 0x${magic.toString(16)}, expected 0x5a60 or 0x5a61`);
  }
  const version = view.getUint16(2);
  if (version !== LAYER_FORMAT_VERSION) {
    throw layerFault(
      'NEON_LAYER_UNKNOWN_VERSION',
      `its version is ${version}, supported is ${LAYER_FORMAT_VERSION}`,
    );
  }
  return magic === IMAGE_MAGIC ? 'image' : 'delta';
}

function endOfImage(start: bigint): Lsn {
  if (start === 0xffff_ffff_ffff_ffffn) throw layerFault('NEON_LAYER_CORRUPT', 'its LSN is the largest one');
  return lsn(start + 1n);
}

function checkBlocks(summary: LayerSummary, blockCount: number): void {
  const { desc, indexStartBlock, indexRootBlock } = summary;
  if (indexStartBlock < 1 || indexStartBlock + indexRootBlock >= blockCount) {
    const blocks = `index at block ${indexStartBlock}, root ${indexRootBlock}`;
    throw layerFault('NEON_LAYER_CORRUPT', `${blocks} does not lie in its ${blockCount} blocks`);
  }
  if (compareBytes(desc.keyStart, desc.keyEnd) >= 0 || desc.lsnStart >= desc.lsnEnd) {
    throw layerFault('NEON_LAYER_CORRUPT', 'its key or LSN range is empty');
  }
}

/** The opener adds the name of the file. */
function layerFault(code: NeonLayerErrorCode, reason: string): NeonLayerError {
  return new NeonLayerError({
    code,
    operation: 'decode',
    message: `The layer file is not valid: ${reason}.`,
  });
}
