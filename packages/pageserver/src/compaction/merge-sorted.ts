import { compareKeys } from '@neon-snapshot/neon-layer';

export interface Ordered {
  /** What the order is by. */
  readonly keyAndLsn: Uint8Array;
}

/** Items of one group of the merged stream. */
const GROUP_ITEMS = 1024;

/**
 * Merges streams that ascend strictly into one that does. Items come in groups, since an asynchronous step for each would cost more than
 * the merge. The streams are ended when this one is.
 */
export async function* mergeSorted<Item extends Ordered>(
  streams: readonly AsyncGenerator<readonly Item[]>[],
): AsyncGenerator<readonly Item[]> {
  try {
    const cursors = streams.map((stream) => new Cursor(stream));
    for (const cursor of cursors) await cursor.advance();
    let group: Item[] = [];
    for (;;) {
      const { first, second } = smallestTwo(cursors);
      if (first === undefined) break;
      if (!takeUpTo(first, second, group)) await first.advance();
      if (group.length < GROUP_ITEMS) continue;
      yield group;
      group = [];
    }
    if (group.length > 0) yield group;
  } finally {
    for (const stream of streams) await stream.return(undefined);
  }
}

/** Takes what comes before the second stream; false where the group at hand ended. */
function takeUpTo<Item extends Ordered>(
  first: Cursor<Item>,
  second: Cursor<Item> | undefined,
  into: Item[],
): boolean {
  const limit = second?.item?.keyAndLsn;
  for (let { item } = first; item !== undefined; item = first.item) {
    if (limit !== undefined && compareKeys(item.keyAndLsn, limit) > 0) return true;
    into.push(item);
    if (!first.step()) return false;
  }
  return false;
}

class Cursor<Item> {
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

function smallestTwo<Item extends Ordered>(
  cursors: readonly Cursor<Item>[],
): { readonly first: Cursor<Item> | undefined; readonly second: Cursor<Item> | undefined } {
  let first: Cursor<Item> | undefined;
  let second: Cursor<Item> | undefined;
  for (const cursor of cursors) {
    if (cursor.item === undefined) continue;
    if (isBefore(cursor, first)) [first, second] = [cursor, first];
    else if (isBefore(cursor, second)) second = cursor;
  }
  return { first, second };
}

function isBefore<Item extends Ordered>(cursor: Cursor<Item>, other: Cursor<Item> | undefined): boolean {
  if (cursor.item === undefined) return false;
  return other?.item === undefined || compareKeys(cursor.item.keyAndLsn, other.item.keyAndLsn) < 0;
}
