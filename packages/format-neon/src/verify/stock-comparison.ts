/** Pages that redo made, made once more by a stock Postgres. */
import type { StockRedo, VerifyCollector } from '@neon-snapshot/format-core';
import { describeKey, type RedoRequest } from '@neon-snapshot/neon-layer';
import { BLCKSZ, formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { withoutNeonFlag } from './neon-page-flag.ts';

/** Pages that Postgres makes in one run. */
const BATCH_PAGES = 256;
const UNSUPPORTED = 'STOCK_REDO_UNSUPPORTED_RECORD';
/** `pd_checksum` of PageHeaderData: stale after redo, computed anew by whoever needs it. */
const CHECKSUM = { offset: 8, length: 2 } as const;
/** `GISTPageOpaqueData` at the end of a page: u64 nsn, u32 rightlink, u16 flags, u16 `GIST_PAGE_ID`. */
const GIST = { flags: 8188, pageId: 8190, pageIdValue: 0xff81, tuplesDeleted: 1 << 2 } as const;

interface MadePage {
  readonly request: RedoRequest;
  readonly value: Uint8Array;
  readonly page: {
    readonly tag: Extract<RedoRequest['parsedKey'], { kind: 'relation-block' }>['tag'];
    readonly blockNumber: number;
    readonly base: Uint8Array | undefined;
    readonly records: readonly { readonly endLsn: Lsn; readonly bytes: Uint8Array }[];
  };
}

/** Compares in batches; {@link finish} is the end. Of a page with records of Neon's own no Postgres knows, `stockSkipped` tells. */
export class StockComparison {
  readonly #stock: StockRedo;
  readonly #collector: VerifyCollector;
  #batch: MadePage[] = [];

  constructor(stock: StockRedo, collector: VerifyCollector) {
    this.#stock = stock;
    this.#collector = collector;
    for (const name of ['stockCompared', 'stockSkipped']) collector.count(name, 0);
  }

  /** Takes what redo was asked for and what it made; both stay as they are. */
  async add(request: RedoRequest, value: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { parsedKey, base, records } = request;
    if (parsedKey.kind !== 'relation-block') return;
    const own = records.flatMap(({ lsn, record }) =>
      record.kind === 'postgres' ? [{ endLsn: lsn, bytes: record.record }] : [],
    );
    if (own.length < records.length) {
      this.#collector.count('stockSkipped');
      return;
    }
    const { tag, blockNumber } = parsedKey;
    const clean = base === undefined ? undefined : withoutNeonFlag(base);
    this.#batch.push({ request, value, page: { tag, blockNumber, base: clean, records: own } });
    if (this.#batch.length >= BATCH_PAGES) await this.finish(signal);
  }

  async finish(signal: AbortSignal | undefined): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    if (batch.length === 0) return;
    const { pages, failures } = await this.#stock.reconstructPages(
      batch.map(({ page }) => page),
      { signal },
    );
    const failed = new Map(failures.map(({ index, error }) => [index, error]));
    for (const [index, made] of batch.entries()) {
      const error = failed.get(index);
      if (error !== undefined) this.#reportFailure(made, error);
      else this.#compare(made, pages.subarray(index * BLCKSZ, (index + 1) * BLCKSZ));
    }
  }

  #reportFailure({ request }: MadePage, error: Error & { readonly code: string }): void {
    if (error.code === UNSUPPORTED) {
      this.#collector.count('stockSkipped');
      return;
    }
    const message = `${describeKey(request.key)} was not made by stock Postgres: ${error.message} [${error.code}]`;
    this.#collector.error({ code: 'STOCK_REDO_FAILED', message });
  }

  #compare({ request, value }: MadePage, stock: Uint8Array): void {
    this.#collector.count('stockCompared');
    const own = withoutNeonFlag(value);
    const different = differingBytes(own, stock);
    const [first] = different;
    if (first === undefined) return;
    const { key, records } = request;
    const [oldest, newest] = [records[0], records.at(-1)].map((each) =>
      each === undefined ? '' : formatLsn(each.lsn),
    );
    const message = `${describeKey(key)} made from ${records.length} records (${oldest} to ${newest}) differs from what stock Postgres makes in ${different.length} bytes, the first at ${first}`;
    this.#collector.error({ code: 'REDO_DIFFERS', message });
  }
}

/** Offsets at which the pages differ, but for what may. */
function differingBytes(own: Uint8Array, stock: Uint8Array): readonly number[] {
  const offsets: number[] = [];
  for (let at = 0; at < BLCKSZ; at += 1) {
    if (own[at] === stock[at]) continue;
    if (at >= CHECKSUM.offset && at < CHECKSUM.offset + CHECKSUM.length) continue;
    if (at === GIST.flags && isGistFlag(own, stock)) continue;
    offsets.push(at);
  }
  return offsets;
}

/** F_TUPLES_DELETED: redo of some minor releases sets it where the primary does not; a hint that nobody relies on. */
function isGistFlag(own: Uint8Array, stock: Uint8Array): boolean {
  const isGist = [own, stock].every(
    (page) => ((page[GIST.pageId] ?? 0) | ((page[GIST.pageId + 1] ?? 0) << 8)) === GIST.pageIdValue,
  );
  return isGist && ((own[GIST.flags] ?? 0) ^ (stock[GIST.flags] ?? 0)) === GIST.tuplesDeleted;
}
