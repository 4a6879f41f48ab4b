import { compareKeys } from './key.ts';

export interface MergeOptions<Item> {
  /** Entries of an item; at least one. */
  readonly countOf: (item: Item) => number;
  /** Key of an entry; ascends within an item and from item to item of a stream. */
  readonly keyAt: (item: Item, index: number) => Uint8Array;
}

/** Entries `[from, to)` of an item. */
export interface MergedPart<Item> {
  readonly item: Item;
  readonly from: number;
  readonly to: number;
}

interface Head<Item> {
  readonly stream: AsyncIterator<Item>;
  item: Item | undefined;
  at: number;
}

/** Merges streams of groups of entries into key order; no key is in two of them. One item of each stream is in memory. */
export async function* mergeStreams<Item>(
  streams: readonly AsyncIterator<Item>[],
  options: MergeOptions<Item>,
): AsyncGenerator<MergedPart<Item>> {
  const heads = streams.map((stream): Head<Item> => ({ stream, item: undefined, at: 0 }));
  try {
    await Promise.all(heads.map(advance));
    for (;;) {
      const [first, second] = smallestTwo(heads, options);
      if (first?.item === undefined) return;
      const { item, at } = first;
      first.at =
        second === undefined ? options.countOf(item) : endBefore(first, keyOf(second, options), options);
      yield { item, from: at, to: first.at };
      if (first.at >= options.countOf(item)) await advance(first);
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return?.()));
  }
}

async function advance<Item>(head: Head<Item>): Promise<void> {
  const next = await head.stream.next();
  head.item = next.done === true ? undefined : next.value;
  head.at = 0;
}

function keyOf<Item>(head: Head<Item>, options: MergeOptions<Item>): Uint8Array | undefined {
  return head.item === undefined ? undefined : options.keyAt(head.item, head.at);
}

/** The heads with the smallest and the next larger key; heads at their end are left out. */
function smallestTwo<Item>(
  heads: readonly Head<Item>[],
  options: MergeOptions<Item>,
): readonly (Head<Item> | undefined)[] {
  const open = heads.flatMap((head) => {
    const key = keyOf(head, options);
    return key === undefined ? [] : [{ head, key }];
  });
  open.sort((a, b) => compareKeys(a.key, b.key));
  return [open[0]?.head, open[1]?.head];
}

/** Index of the first entry whose key is not below `key`; the current one is. */
function endBefore<Item>(
  { item, at }: Head<Item>,
  key: Uint8Array | undefined,
  { countOf, keyAt }: MergeOptions<Item>,
): number {
  if (item === undefined || key === undefined) return at;
  let low = at + 1;
  let high = countOf(item);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keyAt(item, middle), key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
