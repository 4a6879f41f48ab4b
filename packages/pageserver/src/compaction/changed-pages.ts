import {
  createPageDecompressor,
  decodeValue,
  describeKey,
  type PageBatch,
  type PageCompressor,
  type PageDecompressor,
  parseKey,
  type RedoFunction,
  type RedoRecord,
} from '@neon-snapshot/neon-layer';
import { BLCKSZ, type Lsn, lsn } from '@neon-snapshot/postgres';
import type { CallOptions } from '../timeline/timeline-types.ts';
import { invalidState } from './invalid-state.ts';

export interface ChangedPagesOptions extends CallOptions {
  /** The LSN that the pages are of. */
  readonly lsn: Lsn;
  readonly redo: RedoFunction;
  readonly compressor: PageCompressor;
}

/** A page as image and delta layers hold it. */
export interface StoredPage {
  /** The stored image; empty where the changes need none. */
  readonly blob: Uint8Array;
  /** Oldest first; none where the page is its image. */
  readonly changes: readonly StoredChange[];
}

interface StoredChange {
  readonly lsn: Lsn;
  readonly blob: Uint8Array;
}

/** Makes stored blobs of pages that delta layers changed, by redo and compression. Close it. */
export class ChangedPages {
  readonly #options: ChangedPagesOptions;
  readonly #decompressor: PageDecompressor = createPageDecompressor();

  constructor(options: ChangedPagesOptions) {
    this.#options = options;
  }

  async makeBlob(key: Uint8Array, { blob, changes }: StoredPage): Promise<Uint8Array> {
    const { redo, compressor, lsn: at, signal } = this.#options;
    let base = blob.length === 0 ? undefined : this.#decompressor.decodeBlob(blob, { sizeMaxBytes: BLCKSZ });
    const records: RedoRecord[] = [];
    for (const change of changes) {
      const value = decodeValue(this.#decompressor.decodeBlob(change.blob));
      if (value.kind === 'record') records.push({ lsn: change.lsn, record: value.record });
      else [base, records.length] = [value.image, 0];
    }
    const request = { key, parsedKey: parseKey(key), lsn: at, base, records };
    const page = records.length === 0 ? base : await redo(request, { signal });
    if (page?.length !== BLCKSZ)
      throw invalidState(`${describeKey(key)} has ${page?.length ?? 0} bytes, expected ${BLCKSZ}`);
    return compressor.encodeBlob(page);
  }

  close(): void {
    this.#decompressor.close();
  }
}

/** The pages of a batch, one by one; all of them views of its arrays. */
export function storedPages({ pageCount, blobs, lengths, changes }: PageBatch): readonly StoredPage[] {
  const pages: { readonly blob: Uint8Array; readonly changes: StoredChange[] }[] = [];
  let offset = 0;
  for (let i = 0; i < pageCount; i += 1) {
    const length = lengths[i] ?? 0;
    pages.push({ blob: blobs.subarray(offset, offset + length), changes: [] });
    offset += length;
  }
  if (changes === undefined) return pages;
  let start = 0;
  for (const [i, position] of changes.positions.entries()) {
    const end = start + (changes.lengths[i] ?? 0);
    pages[position]?.changes.push({
      lsn: lsn(changes.lsns[i] ?? 0n),
      blob: changes.blobs.subarray(start, end),
    });
    start = end;
  }
  return pages;
}
