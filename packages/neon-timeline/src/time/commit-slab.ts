/** The commits that delta layers hold for a span of LSNs. */
import {
  createPageDecompressor,
  decodeBlobHeader,
  decodeValue,
  intersectRanges,
  type KeyRange,
  LayerFile,
  type StoredLayer,
  slruBlockKey,
  slruDirKey,
  type TimelineSource,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';

/** Keys of the pages of `pg_xact`. */
export const CLOG_PAGES: KeyRange = {
  start: slruBlockKey('clog', 0, 0),
  end: slruDirKey('multixact_members'),
};

/** Records that are read by one request, where they lie side by side. */
const CHUNK_ENTRIES = 256;

export interface LsnWindow {
  /** Exclusive. */
  readonly after: Lsn;
  /** Inclusive. */
  readonly end: Lsn;
}

/** Delta layers with records of transaction ends. Those whose LSNs overlap are together; slabs do not overlap. */
export interface SlabLayers {
  readonly lsnEnd: Lsn;
  readonly layers: readonly { readonly layer: StoredLayer; readonly window: LsnWindow }[];
}

export interface Commit {
  readonly lsn: Lsn;
  readonly time: bigint;
}

/** The slabs of a timeline and its ancestors within a window, oldest first. Reads nothing. */
export function slabsOf(source: TimelineSource, window: LsnWindow): readonly SlabLayers[] {
  const found: { readonly layer: StoredLayer; readonly window: LsnWindow }[] = [];
  let { end } = window;
  for (let timeline: TimelineSource | undefined = source; timeline !== undefined; ) {
    const own = { after: window.after, end };
    found.push(
      ...timeline.layers.layers
        .filter((layer) => isWanted(layer, own))
        .map((layer) => ({ layer, window: own })),
    );
    const { ancestor }: TimelineSource = timeline;
    if (ancestor !== undefined && ancestor.lsn < end) end = ancestor.lsn;
    timeline = ancestor?.source;
  }
  found.sort((a, b) => (a.layer.desc.lsnStart < b.layer.desc.lsnStart ? -1 : 1));
  const slabs: { lsnEnd: Lsn; readonly layers: (typeof found)[number][] }[] = [];
  for (const each of found) {
    const { lsnStart, lsnEnd } = each.layer.desc;
    const last = slabs.at(-1);
    if (last === undefined || lsnStart >= last.lsnEnd) {
      slabs.push({ lsnEnd, layers: [each] });
    } else {
      last.layers.push(each);
      if (lsnEnd > last.lsnEnd) last.lsnEnd = lsnEnd;
    }
  }
  return slabs;
}

function isWanted({ desc }: StoredLayer, window: LsnWindow): boolean {
  if (desc.kind !== 'delta' || desc.lsnStart > window.end || desc.lsnEnd <= window.after) return false;
  return intersectRanges({ start: desc.keyStart, end: desc.keyEnd }, CLOG_PAGES) !== undefined;
}

/** One slab, opened: where its records lie, in the order of LSNs. Times are read when they are asked for. */
export class CommitSlab {
  readonly chunkCount: number;
  readonly #files: readonly LayerFile[];
  readonly #entries: SlabEntries;
  readonly #order: Uint32Array;
  readonly #signal: AbortSignal | undefined;

  static async open(
    storage: Storage,
    slab: SlabLayers,
    options: { readonly tenantId: string; readonly signal?: AbortSignal | undefined },
  ): Promise<CommitSlab> {
    const { tenantId, signal } = options;
    const entries: SlabEntries = { files: [], lsns: [], offsets: [], lengths: [] };
    const files: LayerFile[] = [];
    for (const { layer, window } of slab.layers) {
      const { desc, sizeBytes, objectKey } = layer;
      const file = await LayerFile.open(storage, objectKey, { desc, sizeBytes, tenantId, signal });
      for await (const entry of file.entries(CLOG_PAGES, { signal })) {
        if (entry.lsn <= window.after || entry.lsn > window.end) continue;
        entries.files.push(files.length);
        entries.lsns.push(Number(entry.lsn));
        entries.offsets.push(entry.offset);
        entries.lengths.push(entry.length);
      }
      files.push(file);
    }
    return new CommitSlab(files, entries, signal);
  }

  private constructor(files: readonly LayerFile[], entries: SlabEntries, signal: AbortSignal | undefined) {
    this.#files = files;
    this.#entries = entries;
    this.#signal = signal;
    const lsns = Float64Array.from(entries.lsns);
    this.#order = Uint32Array.from(lsns.keys()).sort((a, b) => (lsns[a] ?? 0) - (lsns[b] ?? 0));
    this.chunkCount = Math.ceil(lsns.length / CHUNK_ENTRIES);
  }

  /** The commits of one chunk, in the order of their LSNs. Aborts and new pages have no time and are left out. */
  async chunk(index: number): Promise<readonly Commit[]> {
    const members = this.#order.subarray(index * CHUNK_ENTRIES, (index + 1) * CHUNK_ENTRIES);
    const byFile = Map.groupBy(members, (member) => this.#entries.files[member] ?? 0);
    const commits: Commit[] = [];
    for (const [file, own] of byFile) {
      const places = own.map((member) => this.#placeOf(member)).sort((a, b) => a.offset - b.offset);
      const blobs = this.#files[file]?.readBlobs(places, { signal: this.#signal }) ?? [];
      for await (const { entry, blob } of blobs) {
        const value = decodeValue(payloadOf(blob));
        if (value.kind !== 'record' || value.record.kind !== 'clog-set-committed') continue;
        commits.push({ lsn: lsn(BigInt(entry.lsn)), time: value.record.timestamp });
      }
    }
    return commits.sort((a, b) => Number(a.lsn - b.lsn));
  }

  #placeOf(member: number): { readonly lsn: number; readonly offset: number; readonly length: number } {
    const { lsns, offsets, lengths } = this.#entries;
    return { lsn: lsns[member] ?? 0, offset: offsets[member] ?? 0, length: lengths[member] ?? 0 };
  }
}

/** Of a stored value; delta layers are not compressed, as Neon writes them. */
function payloadOf(blob: Uint8Array): Uint8Array {
  const { headerSize, payloadSize, compressed } = decodeBlobHeader(blob, 0, blob.length);
  if (!compressed) return blob.subarray(headerSize, headerSize + payloadSize);
  const decompressor = createPageDecompressor();
  try {
    return decompressor.decodeBlob(blob);
  } finally {
    decompressor.close();
  }
}

/** In arrays of numbers: a slab may have millions. LSNs are below 2^53, as no cluster has written eight petabytes. */
interface SlabEntries {
  readonly files: number[];
  readonly lsns: number[];
  readonly offsets: number[];
  readonly lengths: number[];
}
