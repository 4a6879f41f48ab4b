/** The part of the reader's threads that makes pages from images and WAL records. */
import {
  decodeBlobHeader,
  decodeValueView,
  isNeonLayerError,
  type PageDecompressor,
  type RedoRecord,
  type Value,
} from '@neon-snapshot/neon-layer';
import { createTimelineRedo, type PageState, redoPage } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, lsn } from '@neon-snapshot/postgres';
import { isRedoError, type RedoEngine, RedoError } from '@neon-snapshot/wal-redo';
import { type ChangedPage, type ChangedPages, unpackChangedPages } from './changed-pages.ts';
import { PageFault } from './page-fault.ts';

export interface PagesOfJob {
  /** The images, back to back; anything where there is none. Changed in place. */
  readonly pages: Uint8Array;
  /** Stored bytes of each image; 0 for none. */
  readonly lengths: Uint32Array;
}

/** A page that redo in this thread cannot make. */
export interface UnknownPage {
  /** Which page of the job. */
  readonly index: number;
  /** The state that the records apply to; absent where the first one makes it. */
  readonly base: Uint8Array | undefined;
  readonly records: readonly RedoRecord[];
}

/** Where the next change of a job lies. */
interface Place {
  change: number;
  offset: number;
}

/** Belongs to one thread. */
export class PageRedo {
  readonly #decompressor: PageDecompressor;
  readonly #engines = new Map<number, RedoEngine>();

  constructor(decompressor: PageDecompressor) {
    this.#decompressor = decompressor;
  }

  /**
   * Applies all changes to the pages of a job. Returns how many pages of the free space and visibility maps could not be made
   * and are zero: they are hints, for which a new page is always right, and Neon does the same. Pages with records that redo does
   * not know go to `unknown`, where it is given. Throws PageFault.
   */
  apply(changed: ChangedPages, job: PagesOfJob, unknown?: UnknownPage[]): number {
    const engine = this.#engineOf(changed.postgresMajor);
    const place = { change: 0, offset: 0 };
    let zeroCount = 0;
    for (const page of unpackChangedPages(changed.pages)) {
      const { records, ...state } = this.#read(changed, { page, job, place });
      if (!redo(engine, { state, records, index: page.index, unknown })) zeroCount += 1;
    }
    return zeroCount;
  }

  /** The state that the records apply to, and the records. */
  #read(
    changed: ChangedPages,
    at: { readonly page: ChangedPage; readonly job: PagesOfJob; readonly place: Place },
  ): PageState & { readonly records: readonly RedoRecord[] } {
    const { place, job } = at;
    const { index, changeCount, tag, blockNumber } = at.page;
    const page = job.pages.subarray(index * BLCKSZ, (index + 1) * BLCKSZ);
    let hasPage = (job.lengths[index] ?? 0) > 0;
    const records: RedoRecord[] = [];
    for (const end = place.change + changeCount; place.change < end; place.change += 1) {
      const length = changed.lengths[place.change] ?? 0;
      const value = this.#decode(changed.blobs.subarray(place.offset, place.offset + length), index);
      place.offset += length;
      if (value.kind === 'record') {
        records.push({ lsn: lsn(changed.lsns[place.change] ?? 0n), record: value.record });
        continue;
      }
      setImage(page, value.image, index);
      hasPage = true;
      records.length = 0;
    }
    return { tag, blockNumber, page, hasPage, records };
  }

  #engineOf(postgresMajor: number): RedoEngine {
    const engine = this.#engines.get(postgresMajor) ?? createTimelineRedo(postgresMajor);
    this.#engines.set(postgresMajor, engine);
    return engine;
  }

  #decode(blob: Uint8Array, index: number): Value {
    try {
      const { headerSize, payloadSize, compressed } = decodeBlobHeader(blob, 0, blob.length);
      if (compressed) return decodeValueView(this.#decompressor.decodeBlob(blob));
      return decodeValueView(blob.subarray(headerSize, headerSize + payloadSize));
    } catch (error) {
      throw isNeonLayerError(error) ? new PageFault(index, error) : error;
    }
  }
}

/** A page before its redo, which leaves it in no defined state where it fails. */
const basePage = new Uint8Array(BLCKSZ);

/** False where the page became a zero page instead. */
function redo(
  engine: RedoEngine,
  work: {
    readonly state: PageState;
    readonly records: readonly RedoRecord[];
    readonly index: number;
    readonly unknown: UnknownPage[] | undefined;
  },
): boolean {
  const { state, records, index, unknown } = work;
  if (unknown !== undefined) basePage.set(state.page);
  try {
    redoPage(engine, state, records);
    return true;
  } catch (error) {
    if (!isRedoError(error)) throw error;
    const { forkNum } = state.tag;
    if (forkNum === FREE_SPACE_FORK || forkNum === VISIBILITY_FORK) {
      state.page.fill(0);
      return false;
    }
    if (unknown === undefined || error.code !== 'REDO_UNSUPPORTED_RECORD') throw new PageFault(index, error);
    unknown.push({ index, base: state.hasPage ? basePage.slice() : undefined, records: copyOf(records) });
    return true;
  }
}

const FREE_SPACE_FORK = 1;
const VISIBILITY_FORK = 2;

/** Their bytes are views of the job's. */
function copyOf(records: readonly RedoRecord[]): readonly RedoRecord[] {
  return records.map(({ lsn, record }) => ({
    lsn,
    record: record.kind === 'postgres' ? { ...record, record: Uint8Array.from(record.record) } : record,
  }));
}

function setImage(page: Uint8Array, image: Uint8Array, index: number): void {
  if (image.length === BLCKSZ) {
    page.set(image);
    return;
  }
  const message = `an image of a page has ${BLCKSZ} bytes; found ${image.length}`;
  const fault = new RedoError({ code: 'REDO_INVALID_PAGE', operation: 'read image', message });
  throw new PageFault(index, fault);
}
