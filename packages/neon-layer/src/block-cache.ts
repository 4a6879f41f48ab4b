import type { BtreeNode } from './disk-btree-node.ts';
import { BLOCK_SIZE } from './layer-format.ts';

/** Memory that one node is counted with: its block and what holds it. */
const NODE_COST_BYTES = BLOCK_SIZE + 256;
/** Default budget: the index blocks of some 30 GB of pages. */
export const BLOCK_CACHE_BYTES_DEFAULT: number = 16 * 1024 * 1024;

/** Index blocks of any number of layers, least recently used ones dropped first. Shared by the layers of a view. */
export class BlockCache {
  readonly #countMax: number;
  readonly #nodes = new Map<string, BtreeNode>();

  constructor(options: { readonly sizeMaxBytes?: number } = {}) {
    const sizeMaxBytes = options.sizeMaxBytes ?? BLOCK_CACHE_BYTES_DEFAULT;
    this.#countMax = Math.max(1, Math.floor(sizeMaxBytes / NODE_COST_BYTES));
  }

  /** Bytes that the nodes are counted with. */
  get sizeBytes(): number {
    return this.#nodes.size * NODE_COST_BYTES;
  }

  get(objectKey: string, block: number): BtreeNode | undefined {
    const id = `${objectKey}#${block}`;
    const node = this.#nodes.get(id);
    if (node !== undefined) this.#touch(id, node);
    return node;
  }

  set(objectKey: string, block: number, node: BtreeNode): void {
    this.#touch(`${objectKey}#${block}`, node);
    for (const id of this.#nodes.keys()) {
      if (this.#nodes.size <= this.#countMax) return;
      this.#nodes.delete(id);
    }
  }

  /** A Map keeps insertion order: what is used goes to its end. */
  #touch(id: string, node: BtreeNode): void {
    this.#nodes.delete(id);
    this.#nodes.set(id, node);
  }
}
