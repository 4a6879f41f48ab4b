/**
 * Where L1 layers are cut (Neon's `compact_level0_phase1`): between keys, when the next key's values would make the layer larger than
 * the target. A key whose values alone are larger has layers of its own, cut between LSNs: the only layers of the same keys
 * that do not have the same LSN range.
 */
import { KEY_SIZE, nextKey } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';

/** A stored value, with its place in the order of all. */
export interface SizedValue {
  /** Key and LSN, BE, as in the index of a delta layer. */
  readonly keyAndLsn: Uint8Array;
  /** Stored bytes. */
  readonly length: number;
}

/** Takes the layers, one after the other. */
export interface L1Sink<Value> {
  open(start: { readonly keyStart: Uint8Array; readonly lsnStart: Lsn }): void;
  append(value: Value): void;
  /** Both ends are exclusive. */
  close(end: { readonly keyEnd: Uint8Array; readonly lsnEnd: Lsn }): Promise<void>;
}

export interface L1DividerOptions {
  readonly lsnStart: Lsn;
  readonly lsnEnd: Lsn;
  /** Neon's `compaction_target_size`, of stored values. */
  readonly layerBytesMax: number;
}

/** Divides values, which come in (key, LSN) order, into layers. Holds those of one key. */
export class L1Divider<Value extends SizedValue> {
  readonly #sink: L1Sink<Value>;
  readonly #options: L1DividerOptions;
  /** Stored bytes of the layer that is open; undefined where none is. */
  #openBytes: number | undefined;
  /** The last key of the layer that is open. */
  #lastKey: Uint8Array = new Uint8Array(0);
  /** Values of the key at hand that are in no layer yet. */
  #values: Value[] = [];
  #valueBytes = 0;
  /** Where the next layer of the key at hand begins, once it has layers of its own. */
  #keyLsnStart: Lsn | undefined;

  constructor(sink: L1Sink<Value>, options: L1DividerOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  /** Takes a value, unless a layer has to be closed before: then it is false, and {@link addClosing} takes it. */
  addNow(value: Value): boolean {
    if (this.#isOfKey(value)) {
      if (this.#isTooMuchWith(value)) return false;
    } else {
      if (this.#keyLsnStart !== undefined || this.#openIsFull()) return false;
      this.#takeKey();
    }
    this.#values.push(value);
    this.#valueBytes += value.length;
    return true;
  }

  async addClosing(value: Value): Promise<void> {
    if (!this.#isOfKey(value)) await this.#endKey();
    else if (this.#isTooMuchWith(value)) await this.#divideKey(lsnOf(value));
    this.#values.push(value);
    this.#valueBytes += value.length;
  }

  async finish(): Promise<void> {
    await this.#endKey();
    await this.#closeOpen();
  }

  #isOfKey({ keyAndLsn }: Value): boolean {
    const own = this.#values[0]?.keyAndLsn;
    if (own === undefined) return false;
    for (let i = KEY_SIZE - 1; i >= 0; i -= 1) if (own[i] !== keyAndLsn[i]) return false;
    return true;
  }

  #isTooMuchWith({ length }: Value): boolean {
    return this.#valueBytes + length > this.#options.layerBytesMax;
  }

  #openIsFull(): boolean {
    return this.#openBytes !== undefined && this.#openBytes + this.#valueBytes > this.#options.layerBytesMax;
  }

  async #endKey(): Promise<void> {
    if (this.#keyLsnStart !== undefined) {
      await this.#putOwnLayer(this.#keyLsnStart, this.#options.lsnEnd);
      this.#keyLsnStart = undefined;
      return;
    }
    if (this.#openIsFull()) await this.#closeOpen();
    this.#takeKey();
  }

  /** Adds the key at hand to the layer that is open. */
  #takeKey(): void {
    const [first] = this.#values;
    if (first === undefined) return;
    const key = keyOf(first);
    if (this.#openBytes === undefined) {
      this.#sink.open({ keyStart: key, lsnStart: this.#options.lsnStart });
      this.#openBytes = 0;
    }
    for (const value of this.#values) this.#sink.append(value);
    this.#openBytes += this.#valueBytes;
    this.#lastKey = key;
    this.#forgetValues();
  }

  async #divideKey(at: Lsn): Promise<void> {
    await this.#closeOpen();
    await this.#putOwnLayer(this.#keyLsnStart ?? this.#options.lsnStart, at);
    this.#keyLsnStart = at;
  }

  async #putOwnLayer(lsnStart: Lsn, lsnEnd: Lsn): Promise<void> {
    const [first] = this.#values;
    if (first === undefined) return;
    const key = keyOf(first);
    this.#sink.open({ keyStart: key, lsnStart });
    for (const value of this.#values) this.#sink.append(value);
    this.#forgetValues();
    await this.#sink.close({ keyEnd: nextKey(key), lsnEnd });
  }

  async #closeOpen(): Promise<void> {
    if (this.#openBytes === undefined) return;
    this.#openBytes = undefined;
    await this.#sink.close({ keyEnd: nextKey(this.#lastKey), lsnEnd: this.#options.lsnEnd });
  }

  #forgetValues(): void {
    this.#values = [];
    this.#valueBytes = 0;
  }
}

function keyOf({ keyAndLsn }: SizedValue): Uint8Array {
  return keyAndLsn.slice(0, KEY_SIZE);
}

export function lsnOf({ keyAndLsn }: SizedValue): Lsn {
  return lsn(new DataView(keyAndLsn.buffer, keyAndLsn.byteOffset).getBigUint64(KEY_SIZE));
}
