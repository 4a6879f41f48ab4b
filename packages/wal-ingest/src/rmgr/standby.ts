import { RESOURCE_MANAGER_INFO_MASK } from '@neon-snapshot/postgres';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';

const RUNNING_XACTS = 0x10;
/** Of xl_running_xacts: after the counts, the overflow flag and the next xid. */
const OLDEST_RUNNING_XID = 16;

/** STANDBY: the oldest transaction that runs. */
export function ingestStandby(context: RecordContext): Pending {
  if ((context.decoded.info & RESOURCE_MANAGER_INFO_MASK) !== RUNNING_XACTS) return undefined;
  const main = readMainData(context);
  main.skip(OLDEST_RUNNING_XID);
  context.checkpoint.update({ oldestActiveXid: main.u32() });
  return undefined;
}
