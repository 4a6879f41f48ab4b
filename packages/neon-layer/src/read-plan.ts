/** Where a blob lies in its file. */
export interface BlobPlace {
  readonly offset: number;
  readonly length: number;
}

/** Bytes of one request for values at most, unless a single value is larger. */
export const READ_BYTES_MAX: number = 1024 * 1024;
/** Bytes between two wanted values up to which they come by one request. */
export const READ_GAP_BYTES_MAX: number = 32 * 1024;
/** Entries of one request at most: zero pages take 25 bytes. */
const READ_ENTRIES_MAX = 4096;

/** A part of a layer file that holds wanted blobs. */
export interface BlobSpan<Place extends BlobPlace> extends BlobPlace {
  readonly entries: readonly Place[];
}

/** Joins entries of one layer, in file order, into spans. */
export async function* planReads<Place extends BlobPlace>(
  entries: Iterable<Place> | AsyncIterable<Place>,
): AsyncGenerator<BlobSpan<Place>> {
  const plan = new SpanPlan<Place>();
  for await (const entry of entries) {
    const span = plan.add(entry);
    if (span !== undefined) yield span;
  }
  if (plan.last !== undefined) yield plan.last;
}

/** {@link planReads} of entries that are all there, without a turn of the event loop for each. */
export function* planSpans<Place extends BlobPlace>(entries: Iterable<Place>): Generator<BlobSpan<Place>> {
  const plan = new SpanPlan<Place>();
  for (const entry of entries) {
    const span = plan.add(entry);
    if (span !== undefined) yield span;
  }
  if (plan.last !== undefined) yield plan.last;
}

class SpanPlan<Place extends BlobPlace> {
  /** The span that may still grow. */
  last: { readonly offset: number; length: number; readonly entries: Place[] } | undefined;

  /** Gives the span before where the entry begins a new one. */
  add(entry: Place): BlobSpan<Place> | undefined {
    const { last } = this;
    if (last !== undefined && joins(last, entry)) {
      last.length = entry.offset + entry.length - last.offset;
      last.entries.push(entry);
      return undefined;
    }
    this.last = { offset: entry.offset, length: entry.length, entries: [entry] };
    return last;
  }
}

function joins(span: BlobSpan<BlobPlace>, entry: BlobPlace): boolean {
  const gap = entry.offset - span.offset - span.length;
  const length = entry.offset + entry.length - span.offset;
  const fits = length <= READ_BYTES_MAX && span.entries.length < READ_ENTRIES_MAX;
  return gap >= 0 && gap <= READ_GAP_BYTES_MAX && fits;
}
