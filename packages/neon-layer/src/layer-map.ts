import type { Lsn } from '@neon-snapshot/postgres';
import { compareKeys } from './key.ts';
import { intersectRanges, type KeyRange, rangeContains } from './key-range.ts';
import { isL0, keyRangeOf, type LayerDesc } from './layer-name.ts';

/** Where to look next for a key. */
export interface LayerSearchResult<T> {
  readonly layer: T;
  /** Of a delta: entries below this LSN are not looked at; the search goes on with it as its end. Of an image: its LSN. */
  readonly lsnFloor: Lsn;
}

/**
 * The layers of one timeline, by key and LSN (Neon's layer_map.rs). `search` answers: which layer holds the newest state of
 * a key below an LSN.
 */
export class LayerMap<T extends { readonly desc: LayerDesc }> {
  readonly layers: readonly T[];
  /** Deltas over all keys: each search looks at them. */
  readonly #wide: readonly T[];
  /** The others by first key. */
  readonly #narrow: readonly T[];
  /** The greatest end key among `#narrow[0..i]`: a search that goes down the list stops where it is not above the key. */
  readonly #narrowEndMax: readonly Uint8Array[];

  constructor(layers: readonly T[]) {
    this.layers = layers;
    this.#wide = layers.filter((layer) => isL0(layer.desc));
    this.#narrow = layers
      .filter((layer) => !isL0(layer.desc))
      .sort((a, b) => compareKeys(a.desc.keyStart, b.desc.keyStart));
    let endMax: Uint8Array = new Uint8Array(0);
    this.#narrowEndMax = this.#narrow.map(({ desc }) => {
      if (compareKeys(desc.keyEnd, endMax) > 0) endMax = desc.keyEnd;
      return endMax;
    });
  }

  /** The layer to look at for the newest state of `key` below `lsnEnd` (exclusive); undefined when no layer can have it. */
  search(key: Uint8Array, lsnEnd: Lsn): LayerSearchResult<T> | undefined {
    let delta: T | undefined;
    let image: T | undefined;
    for (const layer of this.#covering(key)) {
      const { kind, lsnStart } = layer.desc;
      if (lsnStart >= lsnEnd) continue;
      if (kind === 'delta' && (delta === undefined || lsnStart > delta.desc.lsnStart)) delta = layer;
      if (kind === 'image' && (image === undefined || lsnStart > image.desc.lsnStart)) image = layer;
    }
    if (image !== undefined && (delta === undefined || comesFirst(image.desc, delta.desc, lsnEnd))) {
      return { layer: image, lsnFloor: image.desc.lsnStart };
    }
    if (delta === undefined) return undefined;
    // What the image holds, the delta need not be asked for.
    const isCut = image !== undefined && image.desc.lsnEnd > delta.desc.lsnStart;
    return { layer: delta, lsnFloor: isCut && image !== undefined ? image.desc.lsnEnd : delta.desc.lsnStart };
  }

  /** Keys inside of `range` at which a layer begins or ends, in no order. */
  *boundaries(range: KeyRange): Generator<Uint8Array> {
    for (const { desc } of this.layers) {
      const part = intersectRanges(range, keyRangeOf(desc));
      if (part !== undefined) {
        yield part.start;
        yield part.end;
      }
    }
  }

  *#covering(key: Uint8Array): Generator<T> {
    yield* this.#wide;
    for (let i = this.#countStartingUpTo(key) - 1; i >= 0; i -= 1) {
      const endMax = this.#narrowEndMax[i];
      if (endMax === undefined || compareKeys(endMax, key) <= 0) return;
      const layer = this.#narrow[i];
      if (layer !== undefined && rangeContains(keyRangeOf(layer.desc), key)) yield layer;
    }
  }

  #countStartingUpTo(key: Uint8Array): number {
    let low = 0;
    let high = this.#narrow.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const start = this.#narrow[middle]?.desc.keyStart;
      if (start !== undefined && compareKeys(start, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** An image holds all that a delta could add below the searched LSN. */
function comesFirst(image: LayerDesc, delta: LayerDesc, lsnEnd: Lsn): boolean {
  return image.lsnEnd >= delta.lsnEnd || image.lsnEnd === lsnEnd;
}
