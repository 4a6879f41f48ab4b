import { type Annotation, formatLsn, lsn } from '@neon-snapshot/postgres';
import { decodeBlobHeader } from './blob.ts';
import { bytesToHex } from './bytes.ts';
import { describeKey } from './describe-key.ts';
import { BtreeNode } from './disk-btree-node.ts';
import { KEY_SIZE, keyToHex } from './key.ts';
import { BLOCK_SIZE, DELTA_KEY_SIZE } from './layer-format.ts';
import { decodeLayerSummary, type LayerSummary } from './layer-summary.ts';
import { createPageDecompressor } from './page-decompressor.ts';
import { decodeValue } from './value.ts';

export interface AnnotateLayerOptions {
  /** Entries of each index node, and values, that are shown; default 100. */
  readonly entriesMax?: number;
}

const ENTRIES_MAX_DEFAULT = 100;
const NODE_HEADER_SIZE = 5;

/**
 * Explains a whole layer file byte by byte, in file order: first block, values, index nodes. Print it with
 * `formatAnnotations`. Throws `NeonLayerError` where the file is damaged.
 */
export function annotateLayer(bytes: Uint8Array, options: AnnotateLayerOptions = {}): readonly Annotation[] {
  const summary = decodeLayerSummary(bytes.subarray(0, BLOCK_SIZE), bytes.length);
  const nodes = decodeNodes(bytes, summary);
  const entriesMax = options.entriesMax ?? ENTRIES_MAX_DEFAULT;
  return [
    ...annotateLayerSummary(bytes.subarray(0, BLOCK_SIZE), bytes.length),
    ...annotateBlobs(bytes, summary, { nodes, entriesMax }),
    ...nodes.flatMap((node, i) => [
      ...annotateNode(node, {
        offset: (summary.indexStartBlock + i) * BLOCK_SIZE,
        isDelta: summary.desc.kind === 'delta',
        isRoot: i === summary.indexRootBlock,
        entriesMax,
      }),
    ]),
  ];
}

/** Explains the first block of a layer file of `sizeBytes`. */
export function annotateLayerSummary(block: Uint8Array, sizeBytes: number): readonly Annotation[] {
  const { desc, ...summary } = decodeLayerSummary(block, sizeBytes);
  const isDelta = desc.kind === 'delta';
  const blocksOffset = isDelta ? 88 : 80;
  return [
    field(0, 2, 'magic', `${desc.kind} layer`),
    field(2, 2, 'version', String(new DataView(block.buffer, block.byteOffset).getUint16(2))),
    field(4, 16, 'tenantId', summary.tenantId),
    field(20, 16, 'timelineId', summary.timelineId),
    field(36, KEY_SIZE, 'keyStart', keyToHex(desc.keyStart)),
    field(54, KEY_SIZE, 'keyEnd', keyToHex(desc.keyEnd)),
    field(72, 8, isDelta ? 'lsnStart' : 'lsn', formatLsn(desc.lsnStart)),
    ...(isDelta ? [field(80, 8, 'lsnEnd', formatLsn(desc.lsnEnd))] : []),
    field(blocksOffset, 4, 'indexStartBlock', String(summary.indexStartBlock)),
    field(blocksOffset + 4, 4, 'indexRootBlock', String(summary.indexRootBlock)),
  ];
}

function decodeNodes(bytes: Uint8Array, { desc, indexStartBlock }: LayerSummary): readonly BtreeNode[] {
  const scale = desc.kind === 'image' ? 1 : 2;
  const blockCount = bytes.length / BLOCK_SIZE - indexStartBlock;
  const rules = {
    keySize: desc.kind === 'image' ? KEY_SIZE : DELTA_KEY_SIZE,
    blockCount,
    leafValueMin: BLOCK_SIZE * scale,
    leafValueEnd: indexStartBlock * BLOCK_SIZE * scale,
  };
  return Array.from({ length: blockCount }, (_, i) => {
    const offset = (indexStartBlock + i) * BLOCK_SIZE;
    return BtreeNode.decode(bytes.subarray(offset, offset + BLOCK_SIZE), rules);
  });
}

/** A header and a payload for each value. */
function* annotateBlobs(
  bytes: Uint8Array,
  { desc, indexStartBlock }: LayerSummary,
  { nodes, entriesMax }: { readonly nodes: readonly BtreeNode[]; readonly entriesMax: number },
): Generator<Annotation> {
  const decompressor = createPageDecompressor();
  const isDelta = desc.kind === 'delta';
  let shown = 0;
  for (const node of nodes) {
    for (let i = 0; node.level === 0 && i < node.count; i += 1) {
      if (shown === entriesMax) return;
      shown += 1;
      const offset = isDelta ? Math.floor(node.valueAt(i) / 2) : node.valueAt(i);
      const header = decodeBlobHeader(bytes, offset, indexStartBlock * BLOCK_SIZE);
      const { headerSize, payloadSize, compressed } = header;
      const value = decompressor.decodeBlob(bytes.subarray(offset, offset + headerSize + payloadSize));
      yield field(offset, headerSize, 'blob', `${payloadSize} bytes, ${compressed ? 'zstd' : 'plain'}`);
      yield field(
        offset + headerSize,
        payloadSize,
        'value',
        `${describeEntry(node.keyAt(i))}: ${describeValue(value, isDelta)}`,
      );
    }
  }
  decompressor.close();
}

/** The header of a node, then a line for each entry. */
function* annotateNode(
  node: BtreeNode,
  place: {
    readonly offset: number;
    readonly isDelta: boolean;
    readonly isRoot: boolean;
    readonly entriesMax: number;
  },
): Generator<Annotation> {
  const { offset, isDelta, entriesMax } = place;
  const { prefixSize } = node;
  const suffixSize = node.keySize - prefixSize;
  yield field(offset, 2, place.isRoot ? 'root.count' : 'node.count', String(node.count));
  yield field(offset + 2, 1, 'level', node.level === 0 ? '0 (leaf)' : String(node.level));
  yield field(offset + 3, 1, 'prefixSize', String(prefixSize));
  yield field(offset + 4, 1, 'suffixSize', String(suffixSize));
  if (prefixSize > 0) {
    const prefix = bytesToHex(node.keyAt(0).subarray(0, prefixSize));
    yield field(offset + NODE_HEADER_SIZE, prefixSize, 'prefix', prefix.toUpperCase());
  }
  const suffixes = offset + NODE_HEADER_SIZE + prefixSize;
  const shown = Math.min(node.count, entriesMax);
  for (let i = 0; i < shown; i += 1) {
    yield field(suffixes + i * suffixSize, suffixSize, `key ${i}`, describeEntry(node.keyAt(i)));
  }
  const values = suffixes + node.count * suffixSize;
  for (let i = 0; i < shown; i += 1)
    yield field(values + i * 5, 5, `value ${i}`, describeTarget(node, i, isDelta));
  if (shown < node.count) yield field(values + shown * 5, 0, 'more', `${node.count - shown} entries`);
}

function describeTarget(node: BtreeNode, index: number, isDelta: boolean): string {
  if (node.level > 0) return `block ${node.childAt(index)} of the index`;
  const value = node.valueAt(index);
  const offset = isDelta ? Math.floor(value / 2) : value;
  return `blob at 0x${offset.toString(16)}${isDelta && value % 2 === 1 ? ', will init' : ''}`;
}

/** The key in words; of a delta with its LSN. */
function describeEntry(key: Uint8Array): string {
  const what = describeKey(key.subarray(0, KEY_SIZE));
  if (key.length === KEY_SIZE) return what;
  return `${what} at ${formatLsn(lsn(new DataView(key.buffer, key.byteOffset).getBigUint64(KEY_SIZE)))}`;
}

function describeValue(bytes: Uint8Array, isDelta: boolean): string {
  if (!isDelta) return `${bytes.length} bytes`;
  const value = decodeValue(bytes);
  return value.kind === 'image' ? `image of ${value.image.length} bytes` : `${value.record.kind} record`;
}

function field(offset: number, length: number, name: string, value: string): Annotation {
  return { offset, length, name, value };
}
