import { BLCKSZ, type RelTag } from '@neon-snapshot/postgres';
import { arrayOf, type Bytes } from '../bytes.ts';
import { PageArena, RANGE_BLOCKS, RANGE_SHIFT } from './page-arena.ts';
import type { ChangingPages } from './record-effects.ts';

const NOBODY = -1;
/** In place of a slot: the range was not read yet. */
const NOT_READ = -1;

/** Relations that are found without a look into the map of all. */
const RECENT_SIZE = 64;

/** Where pages come from that WAL goes on changing. */
export interface PageSource {
  /** Fills `into` (zeros) with the blocks from `firstBlock` on that there are. */
  readBlocks(tag: RelTag, firstBlock: number, into: Uint8Array): void;
}

/**
 * Part `index` of `count`: who of several threads keeps which pages. A range goes to the thread that has the fewest changes when
 * a record first needs it. All threads see the same records, so each knows who has what without a word to the others.
 */
export interface ReplayShare {
  readonly index: number;
  readonly count: number;
}

/** {@link RANGE_BLOCKS} blocks of a relation fork. */
export interface PageRange {
  readonly tag: RelTag;
  readonly firstBlock: number;
  /** One page after the other; those behind a truncation are zeros. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bit `n`: records changed block `firstBlock + n`. */
  readonly touched: number;
}

interface Relation {
  readonly tag: RelTag;
  /** Where in the arena each range is, or {@link NOT_READ}. */
  readonly slots: number[];
  /** Whose each range is; {@link NOBODY} where no record needed it yet. Not used by a single thread. */
  readonly owners: number[];
  /** The source's blocks from here on are gone. */
  truncatedTo: number;
}

/** The pages of one share, kept in an arena by ranges that are read from the source when a record first needs one. */
export class PageRanges implements ChangingPages {
  readonly #source: PageSource;
  readonly #share: ReplayShare;
  readonly #arena = new PageArena();
  /** Changes so far to the pages of each thread. */
  readonly #loads: number[];
  /** By relation number and fork; relations of other databases may have the same. */
  readonly #relations = new Map<number, Relation[]>();
  /** The relation that was last asked for, by its key's last bits. */
  readonly #recent: (Relation | undefined)[] = new Array<Relation | undefined>(RECENT_SIZE).fill(undefined);

  constructor(source: PageSource, share: ReplayShare = { index: 0, count: 1 }) {
    this.#source = source;
    this.#share = share;
    this.#loads = new Array<number>(share.count).fill(0);
  }

  /** Has to be asked once for each change, of whoever's page, in the order of the records. */
  has(tag: RelTag, blockNumber: number): boolean {
    const { index, count } = this.#share;
    if (count === 1) return true;
    const { owners } = this.#relation(tag);
    const range = blockNumber >>> RANGE_SHIFT;
    let owner = owners[range] ?? NOBODY;
    if (owner === NOBODY) {
      owner = this.#idlest();
      while (owners.length < range) owners.push(NOBODY);
      owners[range] = owner;
    }
    this.#loads[owner] = (this.#loads[owner] ?? 0) + 1;
    return owner === index;
  }

  #idlest(): number {
    return this.#loads.indexOf(Math.min(...this.#loads));
  }

  page(tag: RelTag, blockNumber: number): Uint8Array {
    return arrayOf(this.pageBytes(tag, blockNumber));
  }

  /** As `page`, but for use until the next call only: then these bytes are another page's. */
  pageBytes(tag: RelTag, blockNumber: number): Bytes {
    const relation = this.#relation(tag);
    const index = blockNumber >>> RANGE_SHIFT;
    let slot = relation.slots[index] ?? NOT_READ;
    if (slot === NOT_READ) slot = this.#read(relation, index);
    return this.#arena.touch(slot, blockNumber & (RANGE_BLOCKS - 1));
  }

  truncate(tag: RelTag, blocks: number): void {
    const relation = this.#relation(tag);
    relation.truncatedTo = Math.min(relation.truncatedTo, blocks);
    const kept = Math.ceil(blocks / RANGE_BLOCKS);
    for (const slot of relation.slots.splice(kept)) if (slot !== NOT_READ) this.#arena.free(slot);
    const last = relation.slots[Math.floor(blocks / RANGE_BLOCKS)] ?? NOT_READ;
    if (last !== NOT_READ) this.#arena.clearFrom(last, blocks % RANGE_BLOCKS);
  }

  /** All ranges that records have touched. */
  *ranges(): Generator<PageRange> {
    for (const relations of this.#relations.values()) {
      for (const { tag, slots } of relations) {
        for (const [index, slot] of slots.entries()) {
          const touched = slot === NOT_READ ? 0 : this.#arena.touchedOf(slot);
          if (touched === 0) continue;
          yield { tag, firstBlock: index * RANGE_BLOCKS, bytes: this.#arena.rangeBytes(slot), touched };
        }
      }
    }
  }

  #relation(tag: RelTag): Relation {
    const place = (tag.relNode * 4 + tag.forkNum) & (RECENT_SIZE - 1);
    const recent = this.#recent[place];
    if (recent !== undefined && isTagOf(recent, tag)) return recent;
    const relation = this.#findRelation(tag);
    this.#recent[place] = relation;
    return relation;
  }

  #findRelation(tag: RelTag): Relation {
    const key = tag.relNode * 4 + tag.forkNum;
    let sameKey = this.#relations.get(key);
    if (sameKey === undefined) this.#relations.set(key, (sameKey = []));
    for (const relation of sameKey) if (isTagOf(relation, tag)) return relation;
    const { spcNode, dbNode, relNode, forkNum } = tag;
    const relation: Relation = {
      tag: { spcNode, dbNode, relNode, forkNum },
      slots: [],
      owners: [],
      truncatedTo: Number.POSITIVE_INFINITY,
    };
    sameKey.push(relation);
    return relation;
  }

  #read(relation: Relation, index: number): number {
    const firstBlock = index * RANGE_BLOCKS;
    const slot = this.#arena.allocate();
    const blocks = Math.min(RANGE_BLOCKS, relation.truncatedTo - firstBlock);
    if (blocks > 0) {
      const into = this.#arena.rangeBytes(slot).subarray(0, blocks * BLCKSZ);
      this.#source.readBlocks(relation.tag, firstBlock, into);
    }
    // A sparse array would be a slow one: it grows by holes that are filled.
    while (relation.slots.length < index) relation.slots.push(NOT_READ);
    relation.slots[index] = slot;
    return slot;
  }
}

function isTagOf({ tag }: Relation, { spcNode, dbNode, relNode, forkNum }: RelTag): boolean {
  return (
    tag.relNode === relNode && tag.forkNum === forkNum && tag.dbNode === dbNode && tag.spcNode === spcNode
  );
}
