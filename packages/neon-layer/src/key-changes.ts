import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { compareKeys, KEY_SIZE } from './key.ts';
import type { KeyRange } from './key-range.ts';
import type { EntrySlice, LayerFile, ReadOptions } from './layer-file.ts';
import type { ReadStep } from './read-steps.ts';

/** One entry of a delta layer: where its blob lies. */
export interface Change {
  readonly file: LayerFile;
  readonly lsn: Lsn;
  readonly offset: number;
  /** To the next blob or the index: the blob itself may be shorter by a gap. */
  readonly length: number;
  /** The value needs no older state. */
  readonly willInit: boolean;
}

/** What delta layers hold for a key: newest first, down to the first that needs no older state. */
export interface KeyChanges {
  readonly key: Uint8Array;
  readonly changes: readonly Change[];
}

export interface DeltaStep {
  readonly file: LayerFile;
  readonly step: ReadStep;
}

/** Merges delta layers (newest first, their LSN windows do not overlap) key by key, in key order. */
export async function* mergeChanges(
  deltas: readonly DeltaStep[],
  range: KeyRange,
  options: ReadOptions,
): AsyncGenerator<KeyChanges> {
  const cursors = await Promise.all(deltas.map((delta) => DeltaCursor.open(delta, range, options)));
  for (let key = smallestKey(cursors); key !== undefined; key = smallestKey(cursors)) {
    const changes: Change[] = [];
    for (const cursor of cursors) {
      if (cursor.key === undefined || compareKeys(cursor.key, key) !== 0) continue;
      const own = await cursor.takeKey();
      // An image or the like ends the search: what older layers hold for the key is passed over.
      if (changes.at(-1)?.willInit !== true) for (const change of own.reverse()) changes.push(change);
    }
    yield { key, changes };
  }
}

/** Walks over the entries of one delta layer that lie in its LSN window, without an object for those that do not count. */
class DeltaCursor {
  /** Of the next entry; undefined at the end. */
  key: Uint8Array | undefined;
  readonly #file: LayerFile;
  readonly #step: ReadStep;
  readonly #slices: AsyncGenerator<EntrySlice>;
  #slice: EntrySlice | undefined;
  #index = 0;

  static async open({ file, step }: DeltaStep, range: KeyRange, options: ReadOptions): Promise<DeltaCursor> {
    const cursor = new DeltaCursor(file, step, file.slices(range, options));
    await cursor.#nextSlice();
    await cursor.#findKey();
    return cursor;
  }

  private constructor(file: LayerFile, step: ReadStep, slices: AsyncGenerator<EntrySlice>) {
    this.#file = file;
    this.#step = step;
    this.#slices = slices;
  }

  /** The entries of the key, oldest first, from the newest that needs no older state on. */
  async takeKey(): Promise<Change[]> {
    let changes: Change[] = [];
    const { key } = this;
    while (key !== undefined && this.#slice?.leaf.startsWithAt(this.#index, key) === true) {
      const change = this.#current(this.#slice);
      if (change?.willInit === true) changes = [change];
      else if (change !== undefined) changes.push(change);
      this.#index += 1;
      if (this.#index >= this.#slice.to) await this.#nextSlice();
    }
    await this.#findKey();
    return changes;
  }

  /** The entry, or undefined where it lies outside of the window. */
  #current(slice: EntrySlice): Change | undefined {
    const at = slice.leaf.lsnAt(this.#index);
    if (at < this.#step.lsnFloor || at >= this.#step.lsnEnd) return undefined;
    const offset = this.#file.offsetAt(slice, this.#index);
    const length = this.#file.endOffsetAt(slice, this.#index) - offset;
    const willInit = slice.leaf.valueAt(this.#index) % 2 === 1;
    return { file: this.#file, lsn: lsn(at), offset, length, willInit };
  }

  async #findKey(): Promise<void> {
    while (this.#slice !== undefined) {
      const at = this.#slice.leaf.lsnAt(this.#index);
      if (at >= this.#step.lsnFloor && at < this.#step.lsnEnd) break;
      this.#index += 1;
      if (this.#index >= this.#slice.to) await this.#nextSlice();
    }
    this.key = this.#slice?.leaf.keyAt(this.#index).subarray(0, KEY_SIZE);
  }

  async #nextSlice(): Promise<void> {
    do {
      const next = await this.#slices.next();
      this.#slice = next.done === true ? undefined : next.value;
      this.#index = this.#slice?.from ?? 0;
    } while (this.#slice !== undefined && this.#index >= this.#slice.to);
  }
}

function smallestKey(cursors: readonly DeltaCursor[]): Uint8Array | undefined {
  let smallest: Uint8Array | undefined;
  for (const { key } of cursors) {
    if (key !== undefined && (smallest === undefined || compareKeys(key, smallest) < 0)) smallest = key;
  }
  return smallest;
}
