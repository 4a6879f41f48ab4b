import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BLCKSZ, isNewPage, type Lsn, pageChecksum, WalRecordDecoder } from '@neon-snapshot/postgres';
import type { PostgresInstallation, ServerUser } from '@neon-snapshot/postgres-process';
import { lsnMaxOf, type NumberedRequest } from './batches.ts';
import { CompactWal, scratchStart } from './compact-wal.ts';
import { restoreLsns, type ScratchLsns } from './original-lsn.ts';
import { type HeapLayout, pageError } from './page-request.ts';
import { homeOf, type PagePlan, planPage } from './plan-page.ts';
import { recover } from './recover.ts';
import { readScratchPage, relationFor, writeScratchCluster } from './scratch-cluster.ts';
import { isStockRedoError, type StockRedoError } from './stock-redo-error.ts';
import { VISIBILITY_FORK } from './visibility.ts';

export type StockRedoMajor = 14 | 15 | 16 | 17;

export interface StockRedoConfig {
  readonly installation: PostgresInstallation;
  readonly major: StockRedoMajor;
  readonly heapLayout: HeapLayout;
  readonly dataChecksums: boolean;
  readonly hintBitsLogged: boolean;
  readonly user: ServerUser | undefined;
  /** Holds the scratch clusters. */
  readonly directory: string;
}

/** One call: where results go, and what ends it early. */
export interface ReplayCall {
  readonly config: StockRedoConfig;
  readonly signal: AbortSignal | undefined;
  readonly pages: Uint8Array;
  readonly failures: { readonly index: number; readonly error: StockRedoError }[];
}

interface PlannedRequest extends NumberedRequest {
  readonly plan: PagePlan;
}

/**
 * Replays a batch in one run of Postgres. Where that does not get through, halves of it, until the pages whose records it
 * does not replay stand alone; those are failures.
 */
export async function replayBatch(batch: readonly NumberedRequest[], call: ReplayCall): Promise<void> {
  const planned = planBatch(batch, call);
  const changed = planned.filter(({ plan }) => plan.records.length > 0);
  for (const { plan, index, request } of planned) {
    if (plan.records.length > 0 || request.base === undefined) continue;
    pageAt(call, index).set(request.base);
    stampChecksum(call, { index, request });
  }
  await replayPlanned(changed, call);
}

function planBatch(batch: readonly NumberedRequest[], call: ReplayCall): PlannedRequest[] {
  const { major, heapLayout } = call.config;
  const decoder = new WalRecordDecoder(major);
  return batch.flatMap(({ index, request }, place) => {
    try {
      const home = homeOf(request, relationFor(place, major));
      return [{ index, request, plan: planPage(request, { heapLayout, decoder, home }) }];
    } catch (error) {
      if (!isStockRedoError(error)) throw error;
      call.failures.push({ index, error });
      return [];
    }
  });
}

async function replayPlanned(planned: readonly PlannedRequest[], call: ReplayCall): Promise<void> {
  const [first] = planned;
  if (first === undefined) return;
  try {
    await replayTogether(planned, call);
  } catch (error) {
    if (!isStockRedoError(error, 'STOCK_REDO_FAILED')) throw error;
    if (planned.length === 1) {
      const cause = pageError('STOCK_REDO_FAILED', first.request, error.message, { cause: error });
      call.failures.push({ index: first.index, error: cause });
      return;
    }
    const half = planned.length >> 1;
    await replayPlanned(planned.slice(0, half), call);
    await replayPlanned(planned.slice(half), call);
  }
}

async function replayTogether(planned: readonly PlannedRequest[], call: ReplayCall): Promise<void> {
  const { installation, major, user, hintBitsLogged } = call.config;
  const start = scratchStart(lsnMaxOf(planned.map(({ request }) => request)));
  const wal = new CompactWal({ major, start });
  const maps = planned.map(({ plan }) => appendRecords(wal, plan));
  const directory = await mkdtemp(join(call.config.directory, 'run-'));
  try {
    writeScratchCluster({ directory, major, user, wal, plans: planned.map(({ plan }) => plan) });
    await recover({ installation, directory, user, hintBitsLogged, signal: call.signal });
    for (const [place, one] of planned.entries()) {
      collectPage({ directory, call, start, lsns: maps[place] ?? new Map() }, one);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Page by page, not by LSN: pages have nothing to do with each other, and each is in memory only once. */
function appendRecords(wal: CompactWal, plan: PagePlan): ScratchLsns['lsns'] {
  const lsns = new Map<Lsn, Lsn>();
  for (const { bytes, endLsn } of plan.records) lsns.set(wal.append(bytes), endLsn);
  return lsns;
}

interface Replayed extends ScratchLsns {
  readonly directory: string;
  readonly call: ReplayCall;
}

function collectPage(run: Replayed, { index, request, plan }: PlannedRequest): void {
  const { call } = run;
  const page = pageAt(call, index);
  // What truncation cut off is a page of zeros, as it is to a reader that extends the file again.
  if (!readScratchPage(run.directory, plan.home, page)) page.fill(0);
  if (isNewPage(page) && plan.home.forkNum !== VISIBILITY_FORK) {
    call.failures.push({
      index,
      error: pageError('STOCK_REDO_FAILED', request, 'Postgres made no such page'),
    });
  } else if (!restoreLsns(page, run)) {
    const problem = 'the page has an LSN at which none of its records ends';
    call.failures.push({ index, error: pageError('STOCK_REDO_FAILED', request, problem) });
  } else stampChecksum(call, { index, request });
}

function stampChecksum(call: ReplayCall, { index, request }: NumberedRequest): void {
  const page = pageAt(call, index);
  if (!call.config.dataChecksums || isNewPage(page)) return;
  new DataView(page.buffer, page.byteOffset).setUint16(8, pageChecksum(page, request.blockNumber), true);
}

function pageAt(call: ReplayCall, index: number): Uint8Array {
  return call.pages.subarray(BLCKSZ * index, BLCKSZ * (index + 1));
}
