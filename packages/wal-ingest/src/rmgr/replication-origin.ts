import { encodeReplOriginValue, replOriginKey } from '@neon-snapshot/neon-layer';
import { lsn, RESOURCE_MANAGER_INFO_MASK, ZERO_LSN } from '@neon-snapshot/postgres';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';

const SET = 0x00;
const DROP = 0x10;

/** REPLORIGIN: how far replication from an origin has come. Transactions tell it too. */
export function ingestReplicationOrigin(context: RecordContext): Pending {
  const main = readMainData(context);
  switch (context.decoded.info & RESOURCE_MANAGER_INFO_MASK) {
    case SET: {
      const remote = lsn(main.u64());
      context.modification.putImage(replOriginKey(main.u16()), encodeReplOriginValue(remote));
      return undefined;
    }
    case DROP:
      context.modification.putImage(replOriginKey(main.u16()), encodeReplOriginValue(ZERO_LSN));
      return undefined;
    default:
      return undefined;
  }
}
