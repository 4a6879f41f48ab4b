import { encodeReplOriginValue, type NeonWalRecord, replOriginKey } from '@neon-snapshot/neon-layer';
import { lsn } from '@neon-snapshot/postgres';
import {
  failRecord,
  OPERATION_MASK,
  type Pending,
  type RecordContext,
  readMainData,
  viewMainData,
} from '../record-context.ts';
import { slruPageKey } from '../slru-segments.ts';
import { addTwoPhaseFile, dropTwoPhaseFile } from '../two-phase-files.ts';
import { XIDS_PER_CLOG_PAGE } from './clog.ts';
import { readTransactionEnd, type TransactionEnd } from './transaction-record.ts';

/** xact.h. */
const COMMIT = 0x00;
const PREPARE = 0x10;
const ABORT = 0x20;
const COMMIT_PREPARED = 0x30;
const ABORT_PREPARED = 0x40;
const HAS_INFO = 0x80;

/** Transactions: their end in the commit log, files that go with them, prepared ones. */
export function ingestTransaction(context: RecordContext): Pending {
  const { decoded } = context;
  switch (decoded.info & OPERATION_MASK) {
    case PREPARE:
      return addTwoPhaseFile(context, decoded.xid, viewMainData(context));
    case COMMIT:
    case COMMIT_PREPARED:
      return end(context, true);
    case ABORT:
    case ABORT_PREPARED:
      return end(context, false);
    default:
      return undefined;
  }
}

function end(context: RecordContext, isCommit: boolean): Pending {
  const { decoded, modification } = context;
  const operation = decoded.info & OPERATION_MASK;
  const isPrepared = operation === COMMIT_PREPARED || operation === ABORT_PREPARED;
  const parsed = readTransactionEnd(readMainData(context), (decoded.info & HAS_INFO) !== 0);
  const xid = isPrepared ? parsed.twoPhaseXid : decoded.xid;
  if (xid === undefined) return failRecord(context, 'no id of the prepared transaction');
  setStatus(context, [xid, ...parsed.subtransactions], isCommit ? parsed.time : undefined);
  if (decoded.origin !== 0) {
    modification.putImage(replOriginKey(decoded.origin), encodeReplOriginValue(lsn(parsed.originLsn)));
  }
  if (parsed.relations.length === 0 && !isPrepared) return undefined;
  return finish(context, parsed, isPrepared ? xid : undefined);
}

async function finish(
  context: RecordContext,
  { relations }: TransactionEnd,
  preparedXid: number | undefined,
): Promise<void> {
  await context.relations.drop(relations);
  if (preparedXid !== undefined) await dropTwoPhaseFile(context, preparedXid);
}

/** One change for each page of the commit log, in the order of its first transaction. `timestamp`: of a commit. */
function setStatus(
  { modification }: RecordContext,
  xids: readonly number[],
  timestamp: bigint | undefined,
): void {
  const pages = new Map<number, number[]>();
  for (const xid of xids) {
    const page = Math.floor(xid / XIDS_PER_CLOG_PAGE);
    const onPage = pages.get(page);
    if (onPage === undefined) pages.set(page, [xid]);
    else onPage.push(xid);
  }
  for (const [page, onPage] of pages) {
    const record: NeonWalRecord =
      timestamp === undefined
        ? { kind: 'clog-set-aborted', xids: onPage }
        : { kind: 'clog-set-committed', xids: onPage, timestamp };
    modification.putRecord(slruPageKey('clog', page), record);
  }
}
