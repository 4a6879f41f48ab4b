import {
  type CheckPoint,
  decodeCheckPoint,
  isPostgresFormatError,
  RESOURCE_MANAGER_INFO_MASK,
  XLOG_INFO,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import { precedes } from '../checkpoint-tracker.ts';
import {
  failRecord,
  type Pending,
  type RecordContext,
  readMainData,
  viewMainData,
} from '../record-context.ts';
import { FULL_XID_SINCE_MAJOR, listTwoPhaseFiles } from '../two-phase-files.ts';

/** The checkpoint has a WAL level from here on. */
const WAL_LEVEL_SINCE_MAJOR = 17;
/** Where `wal_level` lies in xl_parameter_change and xl_end_of_recovery. */
const PARAMETER_CHANGE_WAL_LEVEL = 20;
const END_OF_RECOVERY_WAL_LEVEL = 16;

/** XLOG: what the tracked checkpoint learns. Page images are block references like any other. */
export function ingestXLog(context: RecordContext): Pending {
  switch (context.decoded.info & RESOURCE_MANAGER_INFO_MASK) {
    case XLOG_INFO.nextOid:
      context.checkpoint.seeNextOid(readMainData(context).u32());
      return undefined;
    case XLOG_INFO.parameterChange:
      return updateWalLevel(context, PARAMETER_CHANGE_WAL_LEVEL);
    case XLOG_INFO.endOfRecovery:
      return updateWalLevel(context, END_OF_RECOVERY_WAL_LEVEL);
    case XLOG_INFO.checkpointOnline:
      return checkpoint(context, false);
    case XLOG_INFO.checkpointShutdown:
      return checkpoint(context, true);
    default:
      return undefined;
  }
}

function updateWalLevel(context: RecordContext, offset: number): undefined {
  if (context.major < WAL_LEVEL_SINCE_MAJOR) return;
  const main = readMainData(context);
  main.skip(offset);
  context.checkpoint.update({ walLevel: main.i32() });
}

async function checkpoint(context: RecordContext, isShutdown: boolean): Promise<void> {
  const seen = decodeMain(context);
  const isQuiet = isShutdown && seen.oldestActiveXid === 0;
  context.checkpoint.seeCheckpoint(seen, {
    redo: isShutdown ? context.modification.lsn : ZERO_LSN,
    oldestActiveXid: isQuiet ? await oldestPreparedXid(context) : seen.oldestActiveXid,
  });
}

/** With no transaction running: the oldest prepared one, or the next there will be. */
async function oldestPreparedXid(context: RecordContext): Promise<number> {
  const { checkpoint: tracker, major } = context;
  const prepared = await listTwoPhaseFiles(context);
  if (major >= FULL_XID_SINCE_MAJOR) {
    let oldest = tracker.current.nextXid;
    for (const xid of prepared) if (xid < oldest) oldest = xid;
    return Number(oldest & 0xffff_ffffn);
  }
  return prepared.map(Number).reduce((a, b) => (precedes(b, a) ? b : a), tracker.nextXid);
}

function decodeMain(context: RecordContext): CheckPoint {
  try {
    return decodeCheckPoint(viewMainData(context), context.major);
  } catch (error) {
    if (isPostgresFormatError(error)) return failRecord(context, error.message);
    throw error;
  }
}
