import {
  BLCKSZ,
  type DecodedWalBlock,
  decodePageHeader,
  findPageHeaderFault,
  isNewPage,
  isPostgresFormatError,
  type Lsn,
  RESOURCE_MANAGER,
  type RelTag,
  type WalRecordDecoder,
  XLOG_INFO,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import { homeFork, isolateRecord, type PageHome } from './isolate-record.ts';
import { type HeapLayout, pageError, type StockPageRecord, type StockPageRequest } from './page-request.ts';
import { clearedHeapBlocks, isTruncation, VISIBILITY_FORK, visibilityMapBlock } from './visibility.ts';

export interface PlanSettings {
  readonly heapLayout: HeapLayout;
  /** Of the major; overwritten. */
  readonly decoder: WalRecordDecoder;
  readonly home: PageHome;
}

/** What one page needs of a scratch cluster. */
export interface PagePlan {
  readonly home: PageHome;
  readonly base: Uint8Array | undefined;
  /** In order. xl_prev and CRC are still to be set. Empty: the base is the page. */
  readonly records: readonly StockPageRecord[];
  /** Blocks that the files of the forks have to span, so that redo extends none of them block by block. */
  readonly forkBlocks: ReadonlyMap<number, number>;
  /** Other blocks of the page's own fork that have to exist. */
  readonly presentBlocks: ReadonlySet<number>;
}

const STOCK_MANAGERS: ReadonlySet<number> = new Set([
  RESOURCE_MANAGER.storage,
  RESOURCE_MANAGER.heap2,
  RESOURCE_MANAGER.heap,
  RESOURCE_MANAGER.btree,
  RESOURCE_MANAGER.hash,
  RESOURCE_MANAGER.gin,
  RESOURCE_MANAGER.gist,
  RESOURCE_MANAGER.sequence,
  RESOURCE_MANAGER.spGist,
  RESOURCE_MANAGER.brin,
  RESOURCE_MANAGER.generic,
]);
/** Neon's 14 and 15 have other heap records under the stock numbers; its 16 and 17 use a number of their own. */
const NEON_PATCHED_MAJOR_MAX = 15;
const FREE_SPACE_FORK = 1;
/** `SlotsPerFSMPage` is 4069; upper levels add less than a page in a thousand. */
const HEAP_BLOCKS_PER_FSM_PAGE = 4000;
const FSM_UPPER_PAGES = 8;

/** Judges a request and its records without Postgres. Throws StockRedoError. */
export function planPage(request: StockPageRequest, settings: PlanSettings): PagePlan {
  const { decoder, home } = settings;
  const plan = new Plan(request, home);
  for (const record of request.records) {
    decode(decoder, request, record);
    assertStock(settings, request, record);
    const index = findBlockOf(decoder, request);
    if (index >= 0) plan.addReferring(decoder, index, record);
    else if (changesMap(decoder, request)) plan.add(decoder, -1, record);
    else throw pageError('STOCK_REDO_FOREIGN_RECORD', request, 'the record does not concern it', { record });
  }
  if (!plan.hasPage) throw pageError('STOCK_REDO_NO_BASE', request, 'there is neither a base nor a record');
  return plan;
}

class Plan implements PagePlan {
  readonly home: PageHome;
  readonly base: Uint8Array | undefined;
  readonly records: StockPageRecord[] = [];
  readonly forkBlocks = new Map<number, number>();
  readonly presentBlocks = new Set<number>();
  hasPage: boolean;
  readonly #request: StockPageRequest;
  #pageLsn: Lsn;

  constructor(request: StockPageRequest, home: PageHome) {
    this.home = home;
    this.base = request.base;
    this.#request = request;
    if (request.base !== undefined) assertBase(request.base, request);
    const isNew = request.base === undefined || isNewPage(request.base);
    // Redo of a visibility map takes a new page for an empty one; elsewhere for one that is gone.
    this.hasPage = request.base !== undefined && (!isNew || home.forkNum === VISIBILITY_FORK);
    this.#pageLsn = request.base === undefined ? ZERO_LSN : decodePageHeader(request.base).lsn;
    this.#span(home.forkNum, home.blockNumber);
  }

  addReferring(record: WalRecordDecoder, index: number, source: StockPageRecord): void {
    const block = record.block(index);
    const makesPage = block.willInit || block.applyImage;
    if (!makesPage && !this.hasPage) {
      throw pageError('STOCK_REDO_NO_BASE', this.#request, 'a record changes a page that is not there', {
        record: source,
      });
    }
    // The page has it already: its LSN says so here, but not to redo, which sees records at later LSNs.
    if (!makesPage && source.endLsn <= this.#pageLsn) return;
    this.#pageLsn = source.endLsn;
    this.add(record, index, source);
  }

  add(record: WalRecordDecoder, index: number, source: StockPageRecord): void {
    if (index < 0 && !this.hasPage) {
      throw pageError('STOCK_REDO_NO_BASE', this.#request, 'a record changes a page that is not there', {
        record: source,
      });
    }
    this.hasPage = true;
    const { bytes, otherBlocks, presentBlock } = isolateRecord(record, index, this.home);
    this.records.push({ endLsn: source.endLsn, bytes });
    for (const { forkNum, blockNumber } of otherBlocks) this.#span(forkNum, blockNumber);
    if (presentBlock !== undefined) this.presentBlocks.add(presentBlock);
    const isHeap =
      record.resourceManager === RESOURCE_MANAGER.heap || record.resourceManager === RESOURCE_MANAGER.heap2;
    if (isHeap) this.#spanMaps(record);
  }

  /** Heap redo also notes free space and visibility, in maps that it makes as long as it needs them. */
  #spanMaps(record: WalRecordDecoder): void {
    for (let index = 0; index < record.blockCount; index++) {
      const { forkNum, blockNumber } = record.block(index);
      if (forkNum === VISIBILITY_FORK) continue;
      this.#span(VISIBILITY_FORK, visibilityMapBlock(blockNumber));
      this.#span(FREE_SPACE_FORK, Math.ceil(blockNumber / HEAP_BLOCKS_PER_FSM_PAGE) + FSM_UPPER_PAGES);
    }
  }

  #span(forkNum: number, blockNumber: number): void {
    this.forkBlocks.set(forkNum, Math.max(this.forkBlocks.get(forkNum) ?? 0, blockNumber + 1));
  }
}

function decode(decoder: WalRecordDecoder, request: StockPageRequest, record: StockPageRecord): void {
  try {
    decoder.decode(record.bytes);
  } catch (cause) {
    if (!isPostgresFormatError(cause)) throw cause;
    throw pageError('STOCK_REDO_INVALID_RECORD', request, cause.message, { record, cause });
  }
  if (decoder.hasValidCrc()) return;
  throw pageError('STOCK_REDO_INVALID_RECORD', request, 'the CRC of a record is wrong', { record });
}

function assertStock(settings: PlanSettings, request: StockPageRequest, record: StockPageRecord): void {
  const { resourceManager, info } = settings.decoder;
  const { heap, heap2, xlog } = RESOURCE_MANAGER;
  const operation = info & 0xf0;
  const isImage = operation === XLOG_INFO.fullPageImage || operation === XLOG_INFO.fullPageImageForHint;
  const isPatched =
    settings.heapLayout === 'neon' &&
    settings.home.major <= NEON_PATCHED_MAJOR_MAX &&
    (resourceManager === heap || resourceManager === heap2);
  const isStock = resourceManager === xlog ? isImage : STOCK_MANAGERS.has(resourceManager);
  if (isStock && !isPatched) return;
  const kind = `resource manager ${resourceManager}, info 0x${info.toString(16)}`;
  const problem = `stock Postgres ${settings.home.major} can not replay ${isPatched ? 'Neon’s ' : ''}record of ${kind}`;
  throw pageError('STOCK_REDO_UNSUPPORTED_RECORD', request, problem, { record, resourceManager, info });
}

function findBlockOf(decoder: WalRecordDecoder, request: StockPageRequest): number {
  for (let index = 0; index < decoder.blockCount; index++) {
    const block = decoder.block(index);
    if (
      block.blockNumber === request.blockNumber &&
      block.forkNum === request.tag.forkNum &&
      isInRelation(block, request.tag)
    )
      return index;
  }
  return -1;
}

function isInRelation(block: DecodedWalBlock, { spcNode, dbNode, relNode }: RelTag): boolean {
  return block.relNode === relNode && block.dbNode === dbNode && block.spcNode === spcNode;
}

function changesMap(decoder: WalRecordDecoder, { tag, blockNumber }: StockPageRequest): boolean {
  if (tag.forkNum !== VISIBILITY_FORK) return false;
  if (isTruncation(decoder)) return truncates(decoder, tag);
  return clearedHeapBlocks(decoder).some((index) => {
    const block = decoder.block(index);
    return isInRelation(block, tag) && visibilityMapBlock(block.blockNumber) === blockNumber;
  });
}

/** `xl_smgr_truncate`: block, tablespace, database, relation, flags. */
function truncates({ bytes, mainOffset, mainLength }: WalRecordDecoder, tag: RelTag): boolean {
  if (mainLength < 20) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset + mainOffset, mainLength);
  const [spcNode, dbNode, relNode] = [4, 8, 12].map((at) => view.getUint32(at, true));
  return spcNode === tag.spcNode && dbNode === tag.dbNode && relNode === tag.relNode;
}

function assertBase(base: Uint8Array, request: StockPageRequest): void {
  const fault =
    base.length === BLCKSZ ? findPageHeaderFault(base) : `it has ${base.length} bytes, not ${BLCKSZ}`;
  if (fault !== undefined)
    throw pageError('STOCK_REDO_INVALID_PAGE', request, `the base is not a page: ${fault}`);
}

/** The place of a request's page in the scratch cluster. */
export function homeOf(
  request: StockPageRequest,
  relation: Omit<PageHome, 'forkNum' | 'blockNumber'>,
): PageHome {
  return { ...relation, forkNum: homeFork(request.tag.forkNum), blockNumber: request.blockNumber };
}
