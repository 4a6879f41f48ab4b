import { BLCKSZ, type DecodedWalBlock, formatLsn, type Lsn, type RelTag } from '@neon-snapshot/postgres';
import { Bytes } from './bytes.ts';
import type { RedoEngine } from './redo-engine.ts';
import { isRedoError, RedoError } from './redo-error.ts';

export interface PageRecord {
  /** End of the record: the start of the next. */
  readonly endLsn: Lsn;
  /** The whole record without WAL page headers. */
  readonly bytes: Uint8Array;
}

export interface PageRequest {
  readonly tag: RelTag;
  readonly blockNumber: number;
  /** 8192 bytes, only read. Needed unless the first record initializes the page or holds an image of it. */
  readonly base?: Uint8Array | undefined;
  /** Oldest first; each has to refer to the block. */
  readonly records: readonly PageRecord[];
}

export interface ReconstructOptions {
  /** Check the CRC of every record. Default true. */
  readonly checkCrc?: boolean;
  /** Where the page goes; default: a new array. */
  readonly into?: Uint8Array;
}

/** The page after the records. Throws RedoError. */
export function reconstructPage(
  engine: RedoEngine,
  request: PageRequest,
  options: ReconstructOptions = {},
): Uint8Array {
  const page = options.into ?? new Uint8Array(BLCKSZ);
  if (request.base === undefined) page.fill(0);
  else if (request.base !== page) page.set(checkedBase(request.base));
  const target = new Bytes(page);
  let hasPage = request.base !== undefined;
  for (const record of request.records) {
    redoRecord(engine, { page: target, record, request, hasPage, checkCrc: options.checkCrc ?? true });
    hasPage = true;
  }
  if (!hasPage) throw pageError('REDO_NO_BASE', request, 'there is neither a base nor a record');
  return page;
}

export interface ReconstructedPages {
  /** One page after the other, in the order of the requests; of a failed one the content is undefined. */
  readonly pages: Uint8Array;
  readonly failures: readonly { readonly index: number; readonly error: RedoError }[];
}

/** Many pages into one buffer, which can be transferred to another thread. A page that fails does not stop the others. */
export function reconstructPages(
  engine: RedoEngine,
  requests: readonly PageRequest[],
  options: Pick<ReconstructOptions, 'checkCrc'> = {},
): ReconstructedPages {
  const pages = new Uint8Array(BLCKSZ * requests.length);
  const failures: { index: number; error: RedoError }[] = [];
  for (const [index, request] of requests.entries()) {
    const into = pages.subarray(BLCKSZ * index, BLCKSZ * (index + 1));
    try {
      reconstructPage(engine, request, { ...options, into });
    } catch (error) {
      if (!isRedoError(error)) throw error;
      failures.push({ index, error });
    }
  }
  return { pages, failures };
}

interface RecordOnPage {
  readonly page: Uint8Array | Bytes;
  readonly record: PageRecord;
  readonly request: Pick<PageRequest, 'tag' | 'blockNumber'>;
  readonly hasPage: boolean;
  readonly checkCrc: boolean;
}

/** Decodes a record and applies it to the page that it has to refer to. */
export function redoRecord(engine: RedoEngine, on: RecordOnPage): void {
  const { page, record, request } = on;
  const { decoder } = engine;
  try {
    const { bytes } = record;
    decoder.decodeAt(wholeOf(bytes), bytes.byteOffset, bytes.length);
  } catch (cause) {
    throw pageError('REDO_INVALID_RECORD', request, String(cause), { record, cause });
  }
  if (on.checkCrc && !decoder.hasValidCrc()) {
    throw pageError('REDO_INVALID_RECORD', request, 'the CRC is wrong', { record });
  }
  const index = findBlockOf(engine, request);
  if (index < 0) throw pageError('REDO_FOREIGN_RECORD', request, 'it does not refer to the page', { record });
  const block = decoder.block(index);
  if (!on.hasPage && !block.willInit && !block.applyImage) {
    throw pageError('REDO_NO_BASE', request, 'it changes a page that is not there', { record });
  }
  engine.redoBlock(decoder, index, page, record.endLsn);
}

/** All of the memory that the last record lay in. */
let whole: Uint8Array = new Uint8Array(0);

/** The memory that a record lies in: one array for all records that share it, so that decoder and engine keep their views. */
function wholeOf({ buffer }: Uint8Array): Uint8Array {
  if (whole.buffer !== buffer) whole = new Uint8Array(buffer);
  return whole;
}

function findBlockOf({ decoder }: RedoEngine, request: Pick<PageRequest, 'tag' | 'blockNumber'>): number {
  for (let index = 0; index < decoder.blockCount; index++) {
    if (isBlockOf(decoder.block(index), request)) return index;
  }
  return -1;
}

function isBlockOf(
  block: DecodedWalBlock,
  { tag, blockNumber }: Pick<PageRequest, 'tag' | 'blockNumber'>,
): boolean {
  return (
    block.blockNumber === blockNumber &&
    block.relNode === tag.relNode &&
    block.forkNum === tag.forkNum &&
    block.dbNode === tag.dbNode &&
    block.spcNode === tag.spcNode
  );
}

function checkedBase(base: Uint8Array): Uint8Array {
  if (base.length === BLCKSZ) return base;
  throw new RedoError({
    code: 'REDO_INVALID_PAGE',
    operation: 'reconstruct page',
    message: `A base page has ${BLCKSZ} bytes; got ${base.length}`,
  });
}

function pageError(
  code: RedoError['code'],
  request: Pick<PageRequest, 'tag' | 'blockNumber'>,
  problem: string,
  of: { readonly record?: PageRecord; readonly cause?: unknown } = {},
): RedoError {
  const { spcNode, dbNode, relNode, forkNum } = request.tag;
  const block = `${spcNode}/${dbNode}/${relNode} fork ${forkNum} block ${request.blockNumber}`;
  const lsn = of.record === undefined ? undefined : formatLsn(of.record.endLsn);
  const where = lsn === undefined ? '' : `, record ending at ${lsn}`;
  return new RedoError({
    code,
    operation: 'reconstruct page',
    message: `${block}${where}: ${problem}`,
    context: { block, ...(lsn === undefined ? {} : { lsn }) },
    ...(of.cause === undefined ? {} : { cause: of.cause }),
  });
}
