import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BLCKSZ,
  type DecodedWalBlock,
  type ForkNumber,
  formatRelationPath,
  RELSEG_BLOCKS,
  type RelTag,
} from '@neon-snapshot/postgres';
import type { ChangingPages } from '../replay/record-effects.ts';

/** The pages of one relation fork that records have touched, by block number. */
export interface TouchedRelation {
  readonly tag: RelTag;
  readonly pages: Map<number, Uint8Array>;
}

/** Pages of a data directory as records go on changing them; the directory itself is only read. */
export class BasePages implements ChangingPages {
  readonly relations = new Map<string, TouchedRelation>();
  readonly #dataDirectory: string;
  readonly #files = new Map<string, Uint8Array | undefined>();
  /** First block behind which the directory's own pages are gone. */
  readonly #truncatedTo = new Map<string, number>();

  constructor(dataDirectory: string) {
    this.#dataDirectory = dataDirectory;
  }

  pageOf(block: DecodedWalBlock): Uint8Array {
    const { spcNode, dbNode, relNode, blockNumber } = block;
    return this.page({ spcNode, dbNode, relNode, forkNum: block.forkNum as ForkNumber }, blockNumber);
  }

  has(): boolean {
    return true;
  }

  page(tag: RelTag, blockNumber: number): Uint8Array {
    const relation = this.#relation(tag);
    let page = relation.pages.get(blockNumber);
    if (page === undefined) {
      page = this.#basePage(tag, blockNumber);
      relation.pages.set(blockNumber, page);
    }
    return page;
  }

  truncate(tag: RelTag, blocks: number): void {
    for (const block of this.#relation(tag).pages.keys()) {
      if (block >= blocks) this.#relation(tag).pages.delete(block);
    }
    const key = keyOf(tag);
    this.#truncatedTo.set(key, Math.min(blocks, this.#truncatedTo.get(key) ?? blocks));
  }

  #relation(tag: RelTag): TouchedRelation {
    const key = keyOf(tag);
    let relation = this.relations.get(key);
    if (relation === undefined) this.relations.set(key, (relation = { tag, pages: new Map() }));
    return relation;
  }

  #basePage(tag: RelTag, blockNumber: number): Uint8Array {
    const page = new Uint8Array(BLCKSZ);
    if (blockNumber >= (this.#truncatedTo.get(keyOf(tag)) ?? Number.POSITIVE_INFINITY)) return page;
    const path = formatRelationPath(tag, Math.floor(blockNumber / RELSEG_BLOCKS));
    const file = this.#file(path);
    const offset = (blockNumber % RELSEG_BLOCKS) * BLCKSZ;
    if (file !== undefined && file.length >= offset + BLCKSZ)
      page.set(file.subarray(offset, offset + BLCKSZ));
    return page;
  }

  #file(path: string): Uint8Array | undefined {
    if (!this.#files.has(path)) {
      const full = join(this.#dataDirectory, path);
      this.#files.set(path, existsSync(full) ? readFileSync(full) : undefined);
    }
    return this.#files.get(path);
  }
}

function keyOf({ spcNode, dbNode, relNode, forkNum }: RelTag): string {
  return `${spcNode}/${dbNode}/${relNode}/${forkNum}`;
}
