import { compareKeys } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';

export interface KeyAtLsn {
  readonly key: Uint8Array;
  readonly lsn: Lsn;
}

/** Items of one group of the merged stream. */
const GROUP_ITEMS = 1024;

/**
 * Merges streams that ascend by (key, LSN) into one that does. Items come in groups, since an asynchronous step for each would cost more than
 * the merge. The streams are ended when this one is.
 */
export async function* mergeSorted<Item extends KeyAtLsn>(
  streams: readonly AsyncGenerator<readonly Item[]>[],
): AsyncGenerator<readonly Item[]> {
  try {
    const cursors = streams.map((stream) => new Cursor(stream));
    for (const cursor of cursors) await cursor.advance();
    let group: Item[] = [];
    for (let next = smallest(cursors); next?.item !== undefined; next = smallest(cursors)) {
      group.push(next.item);
      if (group.length >= GROUP_ITEMS) {
        yield group;
        group = [];
      }
      if (!next.step()) await next.advance();
    }
    if (group.length > 0) yield group;
  } finally {
    for (const stream of streams) await stream.return(undefined);
  }
}

class Cursor<Item extends KeyAtLsn> {
  /** The next one; undefined at the end. */
  item: Item | undefined;
  readonly #stream: AsyncGenerator<readonly Item[]>;
  #group: readonly Item[] = [];
  #index = -1;

  constructor(stream: AsyncGenerator<readonly Item[]>) {
    this.#stream = stream;
  }

  /** To the next item of the group at hand; false where there is none. */
  step(): boolean {
    this.#index += 1;
    this.item = this.#group[this.#index];
    return this.item !== undefined;
  }

  async advance(): Promise<void> {
    while (!this.step()) {
      const next = await this.#stream.next();
      if (next.done === true) return;
      this.#group = next.value;
      this.#index = -1;
    }
  }
}

function smallest<Item extends KeyAtLsn>(cursors: readonly Cursor<Item>[]): Cursor<Item> | undefined {
  let found: Cursor<Item> | undefined;
  for (const cursor of cursors) {
    if (cursor.item === undefined) continue;
    if (found?.item === undefined || compareItems(cursor.item, found.item) < 0) found = cursor;
  }
  return found;
}

function compareItems(a: KeyAtLsn, b: KeyAtLsn): number {
  const order = compareKeys(a.key, b.key);
  if (order !== 0 || a.lsn === b.lsn) return order;
  return a.lsn < b.lsn ? -1 : 1;
}
