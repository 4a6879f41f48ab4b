import type { LayerEntry } from './layer-entry.ts';

/** Bytes of one request for values at most, unless a single value is larger. */
export const READ_BYTES_MAX: number = 1024 * 1024;
/** Bytes between two wanted values up to which they come by one request. */
export const READ_GAP_BYTES_MAX: number = 32 * 1024;
/** Entries of one request at most: zero pages take 25 bytes. */
const READ_ENTRIES_MAX = 4096;

/** A part of a layer file that holds wanted blobs. */
export interface BlobSpan {
  readonly offset: number;
  readonly length: number;
  readonly entries: readonly LayerEntry[];
}

/** Joins entries of one layer, in file order, into spans. */
export async function* planReads(
  entries: Iterable<LayerEntry> | AsyncIterable<LayerEntry>,
): AsyncGenerator<BlobSpan> {
  let span: { readonly offset: number; length: number; readonly entries: LayerEntry[] } | undefined;
  for await (const entry of entries) {
    if (span !== undefined && joins(span, entry)) {
      span.length = entry.offset + entry.length - span.offset;
      span.entries.push(entry);
      continue;
    }
    if (span !== undefined) yield span;
    span = { offset: entry.offset, length: entry.length, entries: [entry] };
  }
  if (span !== undefined) yield span;
}

function joins(span: BlobSpan, entry: LayerEntry): boolean {
  const gap = entry.offset - span.offset - span.length;
  const length = entry.offset + entry.length - span.offset;
  const fits = length <= READ_BYTES_MAX && span.entries.length < READ_ENTRIES_MAX;
  return gap >= 0 && gap <= READ_GAP_BYTES_MAX && fits;
}
