import { compareKeys, type KeyRange, type LayerDesc } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';

interface Segment {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  /** Of the newest image. */
  readonly lsn: Lsn;
}

/** The newest image of every key at or below an LSN. */
export class ImageCoverage {
  /** Ascending; keys between them have no image. */
  readonly #segments: readonly Segment[];

  constructor(layers: readonly LayerDesc[], at: Lsn) {
    const images = layers
      .filter(({ kind, lsnStart }) => kind === 'image' && lsnStart <= at)
      .sort((a, b) => compareKeys(a.keyStart, b.keyStart));
    const boundaries = images.flatMap(({ keyStart, keyEnd }) => [keyStart, keyEnd]).sort(compareKeys);
    const segments: Segment[] = [];
    let active: LayerDesc[] = [];
    let next = 0;
    for (const [i, start] of boundaries.entries()) {
      const end = boundaries[i + 1];
      if (end === undefined || compareKeys(start, end) === 0) continue;
      active = active.filter(({ keyEnd }) => compareKeys(keyEnd, start) > 0);
      for (let image = images[next]; image !== undefined; image = images[next]) {
        if (compareKeys(image.keyStart, start) > 0) break;
        if (compareKeys(image.keyEnd, start) > 0) active.push(image);
        next += 1;
      }
      const newest = active.reduce<Lsn | undefined>(
        (found, { lsnStart }) => (found === undefined || lsnStart > found ? lsnStart : found),
        undefined,
      );
      if (newest !== undefined) segments.push({ start, end, lsn: newest });
    }
    this.#segments = segments;
  }

  /** True where every key of the range has an image at `lsnMin` or later. */
  covers({ start, end }: KeyRange, lsnMin: bigint): boolean {
    let at = start;
    for (let i = this.#firstEndingBehind(start); compareKeys(at, end) < 0; i += 1) {
      const segment = this.#segments[i];
      if (segment === undefined || compareKeys(segment.start, at) > 0 || segment.lsn < lsnMin) return false;
      at = segment.end;
    }
    return true;
  }

  #firstEndingBehind(key: Uint8Array): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segment = this.#segments[middle];
      if (segment !== undefined && compareKeys(segment.end, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
