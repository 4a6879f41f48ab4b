import { isInitFork } from '@neon-snapshot/format-core';
import { parseRelationPath, type RelTag } from '@neon-snapshot/postgres';

const INIT_FORK = 3;

/** The relations of which only the init fork is a part of a snapshot. Our own tars of stopped clusters have their main forks too. */
export class UnloggedRelations {
  readonly #keys: ReadonlySet<string>;

  constructor(paths: Iterable<string>) {
    const keys = new Set<string>();
    for (const path of paths) {
      const tag = isInitFork(path) ? parseRelationPath(path)?.tag : undefined;
      if (tag !== undefined) keys.add(keyOf(tag));
    }
    this.#keys = keys;
  }

  /** True for a fork that the start of a cluster makes again from the init fork. */
  isRemade(path: string): boolean {
    if (this.#keys.size === 0) return false;
    const tag = parseRelationPath(path)?.tag;
    return tag !== undefined && tag.forkNum !== INIT_FORK && this.#keys.has(keyOf(tag));
  }
}

function keyOf({ spcNode, dbNode, relNode }: RelTag): string {
  return `${spcNode}/${dbNode}/${relNode}`;
}
