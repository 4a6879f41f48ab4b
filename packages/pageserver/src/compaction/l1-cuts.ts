/**
 * Where L1 layers are cut (Neon's `compact_level0_phase1`): between keys, when the next key's values would make the layer larger than
 * the target. A key whose values alone are larger has layers of its own, cut between LSNs: the only layers of the same keys
 * that do not have the same LSN range.
 */
import { compareKeys, nextKey } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';

/** Layers of a single key that one key is divided into at most. */
export interface L1Cut {
  readonly keyStart: Uint8Array;
  readonly keyEnd: Uint8Array;
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
}

/** One value, without its bytes. */
export interface SizedEntry {
  readonly key: Uint8Array;
  readonly lsn: Lsn;
  /** Stored. */
  readonly length: number;
}

export interface L1CutOptions {
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
  /** Neon's `compaction_target_size`, of stored values. */
  readonly layerBytesMax: number;
}

/** Takes values in (key, LSN) order; gives the layers that hold them, in the same order. */
export async function* cutL1<Entry extends SizedEntry>(
  entries: AsyncIterable<readonly Entry[]>,
  options: L1CutOptions,
): AsyncGenerator<L1Cut> {
  const cutter = new Cutter(options);
  for await (const group of entries) {
    for (const entry of group) yield* cutter.add(entry);
  }
  yield* cutter.finish();
}

/** Values of one key, divided where they are too many. */
interface KeyValues {
  readonly key: Uint8Array;
  sizeBytes: number;
  /** LSNs at which a further layer of the key begins. */
  readonly cuts: Lsn[];
  /** Of the values since the last of these. */
  sinceCutBytes: number;
}

class Cutter {
  readonly #options: L1CutOptions;
  /** The layer so far, without the key at hand. */
  #open: { readonly keyStart: Uint8Array; keyEnd: Uint8Array; sizeBytes: number } | undefined;
  #key: KeyValues | undefined;

  constructor(options: L1CutOptions) {
    this.#options = options;
  }

  *add({ key, lsn: at, length }: SizedEntry): Generator<L1Cut> {
    if (this.#key === undefined || compareKeys(this.#key.key, key) !== 0) {
      yield* this.#endKey();
      this.#key = { key: Uint8Array.from(key), sizeBytes: 0, cuts: [], sinceCutBytes: 0 };
    }
    const values = this.#key;
    if (values.sinceCutBytes > 0 && values.sinceCutBytes + length > this.#options.layerBytesMax) {
      values.cuts.push(at);
      values.sinceCutBytes = 0;
    }
    values.sizeBytes += length;
    values.sinceCutBytes += length;
  }

  *finish(): Generator<L1Cut> {
    yield* this.#endKey();
    yield* this.#endLayer();
  }

  *#endKey(): Generator<L1Cut> {
    const values = this.#key;
    if (values === undefined) return;
    this.#key = undefined;
    const keyEnd = nextKey(values.key);
    if (values.cuts.length > 0) {
      yield* this.#endLayer();
      const { lsnStart, lsnEnd } = this.#options;
      const starts = [lsnStart, ...values.cuts];
      for (const [i, start] of starts.entries())
        yield { keyStart: values.key, keyEnd, lsnStart: start, lsnEnd: starts[i + 1] ?? lsnEnd };
      return;
    }
    if (this.#open !== undefined && this.#open.sizeBytes + values.sizeBytes > this.#options.layerBytesMax)
      yield* this.#endLayer();
    this.#open ??= { keyStart: values.key, keyEnd, sizeBytes: 0 };
    this.#open.keyEnd = keyEnd;
    this.#open.sizeBytes += values.sizeBytes;
  }

  *#endLayer(): Generator<L1Cut> {
    if (this.#open === undefined) return;
    const { keyStart, keyEnd } = this.#open;
    this.#open = undefined;
    const { lsnStart, lsnEnd } = this.#options;
    yield { keyStart, keyEnd, lsnStart: lsn(lsnStart), lsnEnd: lsn(lsnEnd) };
  }
}
