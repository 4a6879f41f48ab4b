import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { assertKey, compareKeys, KEY_SIZE, keyToHex } from './key.ts';
import { type BuiltLayer, invalidArgument, LayerAssembly } from './layer-assembly.ts';
import { BLOCK_SIZE, DELTA_KEY_SIZE, DELTA_OFFSET_MAX } from './layer-format.ts';

export interface DeltaLayerOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly keyStart: Uint8Array;
  readonly lsnStart: Lsn;
}

export interface DeltaEntry {
  readonly key: Uint8Array;
  readonly lsn: Lsn;
  /** An encoded `Value` (see `encodeValue`). Copied. */
  readonly value: Uint8Array;
  /** True for an image and for a record that needs no older state; never wrongly. */
  readonly willInit: boolean;
}

/** Builds a delta layer: all changes of a key range in an LSN range. Append in strictly ascending (key, LSN) order, then `finish`. */
export class DeltaLayerBuilder {
  readonly #options: DeltaLayerOptions;
  readonly #assembly: LayerAssembly;
  readonly #key = new Uint8Array(DELTA_KEY_SIZE);
  readonly #keyView = new DataView(this.#key.buffer);
  #lsnLast: Lsn;

  constructor(options: DeltaLayerOptions) {
    this.#options = { ...options, keyStart: Uint8Array.from(assertKey(options.keyStart)) };
    this.#assembly = new LayerAssembly(options, DELTA_KEY_SIZE);
    this.#lsnLast = options.lsnStart;
  }

  get entryCount(): number {
    return this.#assembly.entryCount;
  }

  /** Bytes of the blobs so far. */
  get storedBytes(): number {
    return this.#assembly.offset - BLOCK_SIZE;
  }

  append(entry: DeltaEntry): void {
    this.#index(entry);
    this.#assembly.addValue(entry.value);
  }

  /** Appends a value as another layer stores it: `value` is the stored blob, header included. Copied. */
  appendStored(entry: DeltaEntry): void {
    this.#index(entry);
    this.#assembly.addCopy(entry.value);
  }

  /** The file; both ends are exclusive. */
  finish({ keyEnd, lsnEnd }: { readonly keyEnd: Uint8Array; readonly lsnEnd: Lsn }): BuiltLayer {
    const isBehind = this.entryCount > 0 && compareKeys(this.#key.subarray(0, KEY_SIZE), keyEnd) >= 0;
    if (isBehind || this.#lsnLast >= lsnEnd)
      throw invalidArgument('An entry lies behind the end of its layer.');
    const { keyStart, lsnStart } = this.#options;
    return this.#assembly.finish({
      kind: 'delta',
      keyStart,
      keyEnd: Uint8Array.from(assertKey(keyEnd)),
      lsnStart,
      lsnEnd,
    });
  }

  #index({ key, lsn, willInit }: DeltaEntry): void {
    const { keyStart, lsnStart } = this.#options;
    if (compareKeys(assertKey(key), keyStart) < 0 || lsn < lsnStart) {
      throw invalidArgument(`${keyToHex(key)} at ${formatLsn(lsn)} lies before the layer's range.`);
    }
    const offset = this.#assembly.offset;
    if (offset > DELTA_OFFSET_MAX) throw invalidArgument('A delta layer is too large to index.');
    this.#key.set(key);
    this.#keyView.setBigUint64(KEY_SIZE, lsn);
    this.#assembly.index(this.#key, offset * 2 + (willInit ? 1 : 0));
    if (lsn > this.#lsnLast) this.#lsnLast = lsn;
  }
}
