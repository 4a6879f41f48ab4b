import { keyToHex, relBlockKey, type TimelineReader } from '@neon-snapshot/neon-layer';
import type { RelationFork } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, pageChecksum } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';

/** Pages that are read at once: 8 MiB. */
const GROUP_PAGES = 1024;
/** `PD_WAL_LOGGED`, a flag of Neon's own that stock Postgres takes for damage; byte 10 of a page. */
const PD_WAL_LOGGED = 0x08;
const FLAGS_OFFSET = 10;
const CHECKSUM_OFFSET = 8;
const UPPER_OFFSET = 14;

export interface PageCursorOptions {
  readonly reader: TimelineReader;
  /** In key order, and taken in that order. */
  readonly forks: readonly RelationFork[];
  /** Give every page a checksum that is right. Neon stores them as they were when the page was logged last. */
  readonly checksums: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Pages of relations one after the other, read in groups over relations: most relations are smaller than one read should be. */
export class PageCursor {
  readonly #options: PageCursorOptions;
  readonly #pages: AsyncGenerator<Uint8Array, void, void>;

  constructor(options: PageCursorOptions) {
    this.#options = options;
    this.#pages = this.#read();
  }

  /** The next `count` pages, one by one. */
  async *take(count: number): AsyncGenerator<Uint8Array, void, void> {
    for (let taken = 0; taken < count; taken++) {
      const step = await this.#pages.next();
      if (step.done) throw endOfPages();
      yield step.value;
    }
  }

  async *#read(): AsyncGenerator<Uint8Array, void, void> {
    const { reader, signal, checksums } = this.#options;
    for (const group of this.#groups()) {
      // An init fork comes twice: keys are asked for once and in order.
      const keys = [...new Map(group.map(({ key }) => [keyToHex(key), key]))].sort(([a], [b]) =>
        a < b ? -1 : 1,
      );
      const values = await reader.getMany(
        keys.map(([, key]) => key),
        { signal },
      );
      const pages = new Map(keys.map(([hex], index) => [hex, values[index]]));
      for (const { key, blockNumber } of group)
        yield finishPage(pages.get(keyToHex(key)), { blockNumber, checksums });
    }
  }

  *#groups(): Generator<{ readonly key: Uint8Array; readonly blockNumber: number }[], void, void> {
    let group: { readonly key: Uint8Array; readonly blockNumber: number }[] = [];
    for (const { tag, blockCount } of this.#options.forks) {
      for (let blockNumber = 0; blockNumber < blockCount; blockNumber++) {
        group.push({ key: relBlockKey(tag, blockNumber), blockNumber });
        if (group.length < GROUP_PAGES) continue;
        yield group;
        group = [];
      }
    }
    if (group.length > 0) yield group;
  }
}

/** A page as stock Postgres takes it. */
function finishPage(
  page: Uint8Array | undefined,
  { blockNumber, checksums }: { readonly blockNumber: number; readonly checksums: boolean },
): Uint8Array {
  if (page === undefined || page.length !== BLCKSZ) throw noPage(blockNumber);
  const isMarked = ((page[FLAGS_OFFSET] ?? 0) & PD_WAL_LOGGED) !== 0;
  const view = new DataView(page.buffer, page.byteOffset, BLCKSZ);
  const isNew = view.getUint16(UPPER_OFFSET, true) === 0;
  if (isNew || !(isMarked || checksums)) return page;
  const finished = Uint8Array.from(page);
  finished[FLAGS_OFFSET] = (page[FLAGS_OFFSET] ?? 0) & ~PD_WAL_LOGGED;
  if (checksums)
    new DataView(finished.buffer).setUint16(CHECKSUM_OFFSET, pageChecksum(finished, blockNumber), true);
  return finished;
}

function noPage(blockNumber: number): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'backup',
    message: `block ${blockNumber} of a relation has no page, though the relation is larger`,
  });
}

function endOfPages(): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'backup',
    message: 'a file of the backup has more pages than its relation',
  });
}
