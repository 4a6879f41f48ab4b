import { bytesToHex } from './bytes.ts';
import { type BtreeNode, corruptNode } from './disk-btree-node.ts';

/** Entries `[from, to)` of a leaf. */
export interface LeafSlice {
  readonly leaf: BtreeNode;
  readonly from: number;
  readonly to: number;
}

export interface DiskBtreeReaderOptions {
  /** Relative to the index. */
  readonly rootBlock: number;
  readonly readNode: (block: number) => Promise<BtreeNode>;
}

/** Where a walk stands in one inner node. */
interface Step {
  readonly node: BtreeNode;
  index: number;
}

/**
 * Walks the B-tree of a layer. Each child must be one level below its parent and begin with the key that the parent has
 * for it, so a walk of any bytes ends: cycles and shared children are found as `NEON_LAYER_CORRUPT`.
 */
export class DiskBtreeReader {
  readonly #options: DiskBtreeReaderOptions;

  constructor(options: DiskBtreeReaderOptions) {
    this.#options = options;
  }

  /**
   * Leaves with the entries from `start` up to `end`, exclusive, in key order. Keys may be shorter than the index's.
   * `seek` is asked after each leaf: leaves before the key that it names are left out; no key ends the walk.
   */
  async *leaves(
    start: Uint8Array,
    end: Uint8Array,
    seek?: () => Uint8Array | undefined,
  ): AsyncGenerator<LeafSlice, void, undefined> {
    let path: Step[] = [];
    let leaf = await this.#descendFromRoot(path, start);
    let from = leaf.lowerBound(start);
    for (;;) {
      const to = leaf.lowerBound(end, from);
      if (to > from) yield { leaf, from, to };
      if (to < leaf.count) return;
      const target = seek === undefined ? undefined : seek();
      if (seek !== undefined && target === undefined) return;
      if (target !== undefined && leaf.compareAt(leaf.count - 1, target) < 0) {
        path = [];
        leaf = await this.#descendFromRoot(path, target);
        from = leaf.lowerBound(target);
        if (from < leaf.count) continue;
      }
      const next = await this.#nextLeaf(path, leaf);
      if (next === undefined) return;
      leaf = next;
      from = 0;
    }
  }

  /** The first entry that is not before `start`: its leaf and index; undefined when all are. */
  async first(start: Uint8Array): Promise<{ readonly leaf: BtreeNode; readonly index: number } | undefined> {
    const path: Step[] = [];
    const leaf = await this.#descendFromRoot(path, start);
    const index = leaf.lowerBound(start);
    if (index < leaf.count) return { leaf, index };
    const next = await this.#nextLeaf(path, leaf);
    return next === undefined ? undefined : { leaf: next, index: 0 };
  }

  async #descendFromRoot(path: Step[], key: Uint8Array): Promise<BtreeNode> {
    return this.#descend(await this.#options.readNode(this.#options.rootBlock), path, key);
  }

  /** Goes down to the leaf in which `key` would be; with no key to the first leaf. */
  async #descend(node: BtreeNode, path: Step[], key: Uint8Array | undefined): Promise<BtreeNode> {
    let current = node;
    while (current.level > 0) {
      const index = key === undefined ? 0 : childIndexOf(current, key);
      path.push({ node: current, index });
      current = await this.#readChild(current, index);
    }
    return current;
  }

  async #nextLeaf(path: Step[], previous: BtreeNode): Promise<BtreeNode | undefined> {
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      step.index += 1;
      if (step.index < step.node.count) {
        const child = await this.#readChild(step.node, step.index);
        const leaf = await this.#descend(child, path, undefined);
        if (
          leaf.compareAt(0, previous.keyAt(previous.count - 1)) <= 0 ||
          leaf.valueAt(0) <= previous.valueAt(previous.count - 1)
        ) {
          throw corruptNode('a leaf does not continue the one before it');
        }
        return leaf;
      }
      path.pop();
    }
    return undefined;
  }

  async #readChild(parent: BtreeNode, index: number): Promise<BtreeNode> {
    const block = parent.childAt(index);
    const child = await this.#options.readNode(block);
    if (child.level !== parent.level - 1) {
      throw corruptNode(`block ${block} has level ${child.level} below level ${parent.level}`);
    }
    if (child.compareAt(0, parent.keyAt(index)) !== 0) {
      throw corruptNode(`block ${block} does not begin with ${bytesToHex(parent.keyAt(index))}`);
    }
    return child;
  }
}

/** The last child whose first key is not after `key`; the first one when all are. */
function childIndexOf(node: BtreeNode, key: Uint8Array): number {
  const bound = node.lowerBound(key);
  const isExact = bound < node.count && node.compareAt(bound, key) === 0;
  return isExact ? bound : Math.max(bound - 1, 0);
}
