import type { Lsn } from '@neon-snapshot/postgres';
import { compareKeys, keyToHex } from './key.ts';
import { intersectRanges, type KeyRange, rangeContains } from './key-range.ts';
import { NeonLayerError } from './layer-error.ts';
import { isL0, keyRangeOf, type LayerDesc } from './layer-name.ts';

/** Layers over one key at most. Neon holds ingest back at some 30 that are not compacted. */
const LAYERS_OF_KEY_MAX = 10_000;

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
    for (const result of this.descend(key, lsnEnd)) return result;
    return undefined;
  }

  /** The layers to look at one after the other: deltas newest first, down to the first image. */
  *descend(key: Uint8Array, lsnEnd: Lsn): Generator<LayerSearchResult<T>> {
    const { deltas, images } = this.#covering(key);
    let end = lsnEnd;
    for (let d = 0, i = 0; ; ) {
      while (isAtOrAbove(deltas[d], end)) d += 1;
      while (isAtOrAbove(images[i], end)) i += 1;
      const [delta, image] = [deltas[d], images[i]];
      if (image !== undefined && (delta === undefined || comesFirst(image.desc, delta.desc, end))) {
        yield { layer: image, lsnFloor: image.desc.lsnStart };
        return;
      }
      if (delta === undefined) return;
      // What the image holds, the delta need not be asked for.
      end = delta.desc.lsnStart;
      if (image !== undefined && image.desc.lsnEnd > end) end = image.desc.lsnEnd;
      yield { layer: delta, lsnFloor: end };
    }
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

  /** Layers whose range has the key, by kind, the newest first. */
  #covering(key: Uint8Array): { readonly deltas: readonly T[]; readonly images: readonly T[] } {
    const deltas: T[] = [...this.#wide];
    const images: T[] = [];
    for (let i = this.#countStartingUpTo(key) - 1; i >= 0; i -= 1) {
      const layer = this.#narrow[i];
      const endMax = this.#narrowEndMax[i];
      if (layer === undefined || endMax === undefined || compareKeys(endMax, key) <= 0) break;
      if (!rangeContains(keyRangeOf(layer.desc), key)) continue;
      (layer.desc.kind === 'delta' ? deltas : images).push(layer);
    }
    if (deltas.length + images.length > LAYERS_OF_KEY_MAX) throw tooManyLayers(key);
    return { deltas: deltas.sort(newestFirst), images: images.sort(newestFirst) };
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

function newestFirst(a: { readonly desc: LayerDesc }, b: { readonly desc: LayerDesc }): number {
  if (a.desc.lsnStart === b.desc.lsnStart) return 0;
  return a.desc.lsnStart > b.desc.lsnStart ? -1 : 1;
}

function isAtOrAbove(layer: { readonly desc: LayerDesc } | undefined, end: Lsn): boolean {
  return layer !== undefined && layer.desc.lsnStart >= end;
}

function tooManyLayers(key: Uint8Array): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_TOO_LARGE',
    operation: 'read',
    message: `More than ${LAYERS_OF_KEY_MAX} layers cover the key ${keyToHex(key)}: the timeline needs compaction.`,
  });
}

/** An image holds all that a delta could add below the searched LSN. */
function comesFirst(image: LayerDesc, delta: LayerDesc, lsnEnd: Lsn): boolean {
  return image.lsnEnd >= delta.lsnEnd || image.lsnEnd === lsnEnd;
}
