import { NEON_RMGR_FLAGS } from '../heap-layout.ts';
import {
  failRecord,
  OPERATION_MASK,
  type Pending,
  type RecordContext,
  recordError,
} from '../record-context.ts';
import { clearVisibility, type VmClearRule } from './heap.ts';

/** `RM_NEON_ID`: heap records with a command id, which Neon's builds of 16 and 17 write in place of stock's. */
export const NEON_RESOURCE_MANAGER = 134;
const SINCE_MAJOR = 16;
const ALL_FROZEN = 0x02;

const OPERATIONS: Readonly<Record<number, VmClearRule>> = {
  0: { flags: 'insert', newBit: 0x01 },
  16: { flags: 'delete', newBit: 0x01 },
  32: { flags: 'update', oldBit: 0x01, newBit: 0x02 },
  48: { flags: 'update', oldBit: 0x01, newBit: 0x02 },
  64: { flags: 'lock', oldBit: 0x01, cleared: ALL_FROZEN },
  80: { flags: 'multiInsert', newBit: 0x01 },
};

/** Neon's own heap records: what they do to the visibility map. In WAL of stock Postgres the id is another extension's. */
export function ingestNeon(context: RecordContext): Pending {
  if (!context.acceptsNeonRecords || context.major < SINCE_MAJOR) {
    const reason = `resource manager ${NEON_RESOURCE_MANAGER} is Neon's in WAL of Neon's Postgres 16 and 17 only`;
    throw recordError(context, 'INGEST_UNSUPPORTED', reason);
  }
  const rule = OPERATIONS[context.decoded.info & OPERATION_MASK];
  if (rule === undefined) return failRecord(context, 'no such operation of resource manager 134');
  return clearVisibility(context, rule, NEON_RMGR_FLAGS);
}
