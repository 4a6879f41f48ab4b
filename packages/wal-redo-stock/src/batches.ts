import { BLCKSZ, type Lsn, lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import type { StockPageRequest } from './page-request.ts';

/** Pages of one run of Postgres: each has some files of its own, which one process opens in turn. */
const BATCH_PAGES_MAX = 512;
/** Records of one run, unless one page alone has more. */
const BATCH_RECORD_BYTES_MAX = 64 * 1024 * 1024;

export interface NumberedRequest {
  /** Among the caller's. */
  readonly index: number;
  readonly request: StockPageRequest;
}

/** The requests in order, in runs of bounded size. */
export function* batchesOf(requests: readonly StockPageRequest[]): Generator<readonly NumberedRequest[]> {
  let batch: NumberedRequest[] = [];
  let sizeBytes = 0;
  for (const [index, request] of requests.entries()) {
    const added = request.records.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const isFull = batch.length === BATCH_PAGES_MAX || sizeBytes + added > BATCH_RECORD_BYTES_MAX;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      sizeBytes = 0;
    }
    batch.push({ index, request });
    sizeBytes += added;
  }
  if (batch.length > 0) yield batch;
}

/** The greatest LSN that bases and records name. */
export function lsnMaxOf(requests: readonly StockPageRequest[]): Lsn {
  let max: Lsn = ZERO_LSN;
  for (const { base, records } of requests) {
    for (const { endLsn } of records) if (endLsn > max) max = endLsn;
    if (base === undefined || base.length !== BLCKSZ) continue;
    const view = new DataView(base.buffer, base.byteOffset, 8);
    const found = lsn((BigInt(view.getUint32(0, true)) << 32n) | BigInt(view.getUint32(4, true)));
    if (found > max) max = found;
  }
  return max;
}
