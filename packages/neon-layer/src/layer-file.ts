import { lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { BlockCache } from './block-cache.ts';
import { BtreeNode, corruptNode, type NodeRules } from './disk-btree-node.ts';
import { DiskBtreeReader, type LeafSlice } from './disk-btree-reader.ts';
import { KEY_SIZE } from './key.ts';
import { type KeyRange, rangeContains } from './key-range.ts';
import { LayerBytes } from './layer-bytes.ts';
import type { LayerEntry } from './layer-entry.ts';
import { isNeonLayerError, NeonLayerError } from './layer-error.ts';
import { BLOCK_SIZE, DELTA_KEY_SIZE, LAYER_BYTES_MAX } from './layer-format.ts';
import { keyRangeOf, type LayerDesc } from './layer-name.ts';
import { checkSummary, decodeLayerSummary, type LayerSummary } from './layer-summary.ts';
import { type BlobPlace, planReads } from './read-plan.ts';

/** Index blocks that are fetched by one request, 256 KiB; each open layer keeps the latest such group. */
const INDEX_GROUP_BLOCKS = 32;

export interface OpenLayerOptions {
  /** What the name says. */
  readonly desc: LayerDesc;
  /** What the index says. */
  readonly sizeBytes: number;
  /** 32 lower-case hex digits, without shard. */
  readonly tenantId: string;
  /** Shared between layers; a small one of its own where absent. */
  readonly cache?: BlockCache | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Consecutive entries of a layer, as the index holds them. */
export interface EntrySlice {
  readonly leaf: BtreeNode;
  readonly from: number;
  readonly to: number;
  /** Where the bytes of entry `to - 1` end at the latest. */
  readonly endOffset: number;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * A layer file in a storage, read by ranges. Opening checks the first block against the name; everything read later is
 * checked as it comes. Faults of the file are `NeonLayerError`s that name it; faults of the storage are `StorageError`s.
 */
export class LayerFile {
  readonly objectKey: string;
  readonly desc: LayerDesc;
  readonly summary: LayerSummary;
  readonly sizeBytes: number;
  readonly #bytes: LayerBytes;
  readonly #cache: BlockCache;
  readonly #rules: NodeRules;
  readonly #tree: DiskBtreeReader;
  #group: { readonly number: number; readonly bytes: Promise<Uint8Array> } | undefined;

  static async open(storage: Storage, objectKey: string, options: OpenLayerOptions): Promise<LayerFile> {
    const { desc, sizeBytes, tenantId, cache, signal } = options;
    return naming(objectKey, async () => {
      if (sizeBytes > LAYER_BYTES_MAX) throw oversized(sizeBytes);
      const bytes = new LayerBytes({ storage, objectKey, sizeBytes });
      const block = await bytes.read(0, Math.min(BLOCK_SIZE, sizeBytes), signal);
      const summary = decodeLayerSummary(block, sizeBytes);
      checkSummary(summary, desc, tenantId);
      return new LayerFile(objectKey, { summary, sizeBytes, bytes, cache: cache ?? new BlockCache() });
    });
  }

  private constructor(
    objectKey: string,
    parts: {
      readonly summary: LayerSummary;
      readonly sizeBytes: number;
      readonly bytes: LayerBytes;
      readonly cache: BlockCache;
    },
  ) {
    const { indexStartBlock, indexRootBlock, desc } = parts.summary;
    const dataEnd = indexStartBlock * BLOCK_SIZE;
    const scale = desc.kind === 'image' ? 1 : 2;
    this.objectKey = objectKey;
    this.desc = desc;
    this.summary = parts.summary;
    this.sizeBytes = parts.sizeBytes;
    this.#bytes = parts.bytes;
    this.#cache = parts.cache;
    this.#rules = {
      keySize: desc.kind === 'image' ? KEY_SIZE : DELTA_KEY_SIZE,
      blockCount: parts.sizeBytes / BLOCK_SIZE - indexStartBlock,
      leafValueMin: BLOCK_SIZE * scale,
      leafValueEnd: dataEnd * scale,
    };
    this.#tree = new DiskBtreeReader({
      rootBlock: indexRootBlock,
      readNode: (block) => this.#readNode(block),
    });
  }

  /** All entries in key order, of a delta in (key, LSN) order; or those of a key range. */
  async *entries(
    range: KeyRange = keyRangeOf(this.desc),
    options: ReadOptions = {},
  ): AsyncGenerator<LayerEntry> {
    for await (const slice of this.slices(range, options)) {
      for (let i = slice.from; i < slice.to; i += 1) yield this.entryAt(slice, i);
    }
  }

  /**
   * The entries of a key range leaf by leaf, without an object for each. With `seek`, leaves before the key that it names
   * are left out.
   */
  async *slices(
    range: KeyRange,
    options: ReadOptions & { readonly seek?: (() => Uint8Array | undefined) | undefined } = {},
  ): AsyncGenerator<EntrySlice> {
    const { signal, seek } = options;
    const leaves = this.#tree.leaves(range.start, range.end, seek);
    let pending: LeafSlice | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const next = await naming(this.objectKey, () => leaves.next());
      if (next.done === true) break;
      if (seek !== undefined) {
        yield this.#checked({ ...next.value, endOffset: await this.#endOf(next.value) });
        continue;
      }
      if (pending !== undefined)
        yield this.#checked({ ...pending, endOffset: this.#offsetOf(next.value.leaf, 0) });
      pending = next.value;
    }
    if (pending !== undefined) yield this.#checked({ ...pending, endOffset: await this.#endOf(pending) });
  }

  /** One entry of a slice. */
  entryAt(slice: EntrySlice, index: number): LayerEntry {
    const key = slice.leaf.keyAt(index);
    const offset = this.#offsetOf(slice.leaf, index);
    const isImage = this.desc.kind === 'image';
    return {
      key: key.subarray(0, KEY_SIZE),
      lsn: isImage ? this.desc.lsnStart : lsn(new DataView(key.buffer).getBigUint64(KEY_SIZE)),
      offset,
      length: this.endOffsetAt(slice, index) - offset,
      willInit: isImage || slice.leaf.valueAt(index) % 2 === 1,
    };
  }

  /** Where the blob of an entry begins. */
  offsetAt(slice: EntrySlice, index: number): number {
    return this.#offsetOf(slice.leaf, index);
  }

  /** Where the bytes of an entry end at the latest. */
  endOffsetAt(slice: EntrySlice, index: number): number {
    return index + 1 < slice.to ? this.#offsetOf(slice.leaf, index + 1) : slice.endOffset;
  }

  /**
   * The stored blobs of entries, in the order given (that of the file, as `entries` gives them), by as few requests as
   * the limits of `read-plan` allow. A blob is a view of a buffer that is not used again; it may have a gap behind it.
   */
  async *readBlobs<Place extends BlobPlace>(
    entries: Iterable<Place> | AsyncIterable<Place>,
    options: ReadOptions = {},
  ): AsyncGenerator<{ readonly entry: Place; readonly blob: Uint8Array }> {
    for await (const span of planReads(entries)) {
      const bytes = await this.readRange(span, options);
      for (const entry of span.entries) {
        const start = entry.offset - span.offset;
        yield { entry, blob: bytes.subarray(start, start + entry.length) };
      }
    }
  }

  /** Bytes of a span that lies inside the values. */
  async readRange(span: BlobPlace, options: ReadOptions = {}): Promise<Uint8Array> {
    return naming(this.objectKey, () => this.#bytes.read(span.offset, span.length, options.signal));
  }

  /** Reads the index's root, so that later walks begin at once. */
  async readRoot(): Promise<void> {
    await naming(this.objectKey, () => this.#readNode(this.summary.indexRootBlock));
  }

  #offsetOf(leaf: BtreeNode, index: number): number {
    const value = leaf.valueAt(index);
    return this.desc.kind === 'image' ? value : Math.floor(value / 2);
  }

  async #endOf({ leaf, to }: LeafSlice): Promise<number> {
    if (to < leaf.count) return this.#offsetOf(leaf, to);
    // The key of the last entry, extended by a byte, comes right behind it.
    const last = leaf.keyAt(to - 1);
    const next = await naming(this.objectKey, () => this.#tree.first(Uint8Array.of(...last, 0)));
    if (next === undefined) return this.summary.indexStartBlock * BLOCK_SIZE;
    return this.#offsetOf(next.leaf, next.index);
  }

  /** The keys ascend, so the first and the last tell whether all lie in the layer's range. */
  #checked(slice: EntrySlice): EntrySlice {
    const range = keyRangeOf(this.desc);
    for (const index of [slice.from, slice.to - 1]) {
      if (rangeContains(range, slice.leaf.keyAt(index).subarray(0, KEY_SIZE))) continue;
      throw withLayer(this.objectKey, corruptNode('a key lies outside of the range of its layer'));
    }
    return slice;
  }

  async #readNode(block: number): Promise<BtreeNode> {
    const cached = this.#cache.get(this.objectKey, block);
    if (cached !== undefined) return cached;
    const group = Math.floor(block / INDEX_GROUP_BLOCKS);
    const bytes = await this.#readGroup(group);
    const offset = (block - group * INDEX_GROUP_BLOCKS) * BLOCK_SIZE;
    const node = BtreeNode.decode(bytes.slice(offset, offset + BLOCK_SIZE), this.#rules);
    this.#cache.set(this.objectKey, block, node);
    return node;
  }

  async #readGroup(number: number): Promise<Uint8Array> {
    if (this.#group?.number !== number) {
      const first = number * INDEX_GROUP_BLOCKS;
      const count = Math.min(INDEX_GROUP_BLOCKS, this.#rules.blockCount - first);
      const offset = (this.summary.indexStartBlock + first) * BLOCK_SIZE;
      this.#group = { number, bytes: this.#bytes.read(offset, count * BLOCK_SIZE, undefined) };
    }
    const group = this.#group;
    try {
      return await group.bytes;
    } catch (error) {
      // A failed request is made anew by the next reader.
      if (this.#group === group) this.#group = undefined;
      throw error;
    }
  }
}

/** Adds the layer's name to the errors that its bytes raise. */
async function naming<T>(objectKey: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw withLayer(objectKey, error);
  }
}

function withLayer(objectKey: string, error: unknown): unknown {
  if (!isNeonLayerError(error) || error.context.layer !== undefined) return error;
  return new NeonLayerError({
    code: error.code,
    operation: 'read',
    message: `${error.message} Layer: ${objectKey}.`,
    context: { ...error.context, layer: objectKey },
    cause: error,
  });
}

function oversized(sizeBytes: number): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_TOO_LARGE',
    operation: 'open',
    message: `A layer of ${sizeBytes} bytes is larger than any that Neon writes (${LAYER_BYTES_MAX}).`,
  });
}
