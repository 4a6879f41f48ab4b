import {
  decodeTwoPhaseDirectory,
  encodeTwoPhaseDirectory,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from '@neon-snapshot/neon-layer';
import { failRecord, type RecordContext } from './record-context.ts';

/** First major whose prepared transactions go by full (64-bit) ids. */
export const FULL_XID_SINCE_MAJOR = 17;

/**
 * Adds the state of a prepared transaction: the record's main data, which is the file without its CRC. The same state may be there
 * already: in a cluster that was copied while it ran, and that a later checkpoint wrote it to.
 */
export async function addTwoPhaseFile(context: RecordContext, xid: number, data: Uint8Array): Promise<void> {
  const { modification, major } = context;
  const id = twoPhaseId(context, xid);
  const xids = await listTwoPhaseFiles(context);
  if (xids.includes(id)) {
    const stored = await modification.find(twoPhaseFileKey(id));
    if (stored === undefined || Buffer.compare(stored, data) !== 0)
      failRecord(context, `transaction ${id} is prepared already, in another state`);
    return;
  }
  modification.putImage(TWO_PHASE_DIRECTORY_KEY, encodeTwoPhaseDirectory([...xids, id], major));
  modification.putImage(twoPhaseFileKey(id), data);
}

/** Takes a prepared transaction out of the directory; the file's key stays behind. */
export async function dropTwoPhaseFile(context: RecordContext, xid: number): Promise<void> {
  const { modification, major } = context;
  const id = twoPhaseId(context, xid);
  const left = (await listTwoPhaseFiles(context)).filter((other) => other !== id);
  modification.putImage(TWO_PHASE_DIRECTORY_KEY, encodeTwoPhaseDirectory(left, major));
}

/** Ids of prepared transactions: 32 bits wide up to major 16. */
export async function listTwoPhaseFiles({ modification, major }: RecordContext): Promise<readonly bigint[]> {
  return decodeTwoPhaseDirectory(await modification.get(TWO_PHASE_DIRECTORY_KEY), major);
}

function twoPhaseId(context: RecordContext, xid: number): bigint {
  if (context.major < FULL_XID_SINCE_MAJOR) return BigInt(xid);
  return (
    context.checkpoint.fullXid(xid) ?? failRecord(context, `transaction ${xid} lies before the first epoch`)
  );
}
