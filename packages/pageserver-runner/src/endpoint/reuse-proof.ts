/** Whether a data directory continues a timeline: it holds the last record that the page server has. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CLUSTER_STATE,
  type ControlFile,
  clusterStates,
  decodeControlFile,
  decodeXLogRecordHeader,
  formatLsn,
  isPostgresFormatError,
  type Lsn,
  majorOfCatalogVersion,
  parseLsn,
  readWalRecords,
  walRecordStart,
  walSegmentFileName,
} from '@neon-snapshot/postgres';
import type { LastRecord } from '../page-server-client.ts';

export interface ReuseQuestion {
  /** Of a stopped cluster. */
  readonly dataDirectory: string;
  /** Where the timeline ends in the page server. */
  readonly timelineEnd: Lsn;
  /** Undefined where the page server does not know it. */
  readonly lastRecord: LastRecord | undefined;
  /** Where the next record of the timeline started when the directory was built from it. */
  readonly builtAt: string | undefined;
}

export type ReuseAnswer =
  | { readonly reusable: true }
  /** One clause: why not. */
  | { readonly reusable: false; readonly reason: string };

/** Neon's timelines are always on this one. */
const TIME_LINE_ID = 1;
/** The rest are standbys and restored backups. */
const GOES_ON_BY_ITSELF: ReadonlySet<number> = new Set([
  CLUSTER_STATE.shutDown,
  CLUSTER_STATE.shuttingDown,
  CLUSTER_STATE.inCrashRecovery,
  CLUSTER_STATE.inProduction,
]);
const NO: (reason: string) => ReuseAnswer = (reason) => ({ reusable: false, reason });

/** Reads only. A directory that can't be judged is not reusable. */
export async function proveReuse(question: ReuseQuestion): Promise<ReuseAnswer> {
  const { dataDirectory, timelineEnd, lastRecord, builtAt } = question;
  const control = await readControl(dataDirectory);
  if (control === undefined) return NO('it has no readable pg_control');
  if (control.checkPointCopy.thisTimeLineId !== TIME_LINE_ID)
    return NO(`it is on TimeLineID ${control.checkPointCopy.thisTimeLineId}, not ${TIME_LINE_ID}`);
  if (!GOES_ON_BY_ITSELF.has(control.state)) return NO(`it is ${clusterStates[control.state]}`);
  // Nothing came to the timeline since the directory was built from its very end.
  const nextRecord = walRecordStart(timelineEnd, control.walSegmentSizeBytes);
  if (builtAt !== undefined && parseLsn(builtAt) === nextRecord) return { reusable: true };
  if (lastRecord === undefined) return NO('the last record of the timeline is not known');
  if (lastRecord.end !== timelineEnd)
    return NO(
      `the last known record ends at ${formatLsn(lastRecord.end)}, the timeline at ${formatLsn(timelineEnd)}`,
    );
  // A cluster that was shut down goes on at its checkpoint, whatever lies behind it in pg_wal.
  if (control.state === CLUSTER_STATE.shutDown && control.checkPoint < lastRecord.start)
    return NO(`it was shut down at ${formatLsn(control.checkPoint)}, before the end of the timeline`);
  return holdsRecord(dataDirectory, control, lastRecord);
}

function holdsRecord(dataDirectory: string, control: ControlFile, wanted: LastRecord): ReuseAnswer {
  const segmentSize = control.walSegmentSizeBytes;
  const where = formatLsn(wanted.start);
  try {
    const records = readWalRecords({
      major: majorOfCatalogVersion(control.catalogVersion),
      segmentSize,
      systemIdentifier: control.systemIdentifier,
      start: wanted.start,
      segment: (segno) =>
        readSegment(join(dataDirectory, 'pg_wal', walSegmentFileName(TIME_LINE_ID, segno, segmentSize))),
    });
    const { value: record, done } = records.next();
    if (done === true || record.start !== wanted.start) return NO(`it has no record at ${where}`);
    if (record.end !== wanted.end || decodeXLogRecordHeader(record.bytes).crc !== wanted.crc)
      return NO(`its record at ${where} is another one: it has gone its own way`);
    return { reusable: true };
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    return NO(`its WAL at ${where} cannot be read: ${error.message}`);
  }
}

async function readControl(dataDirectory: string): Promise<ControlFile | undefined> {
  try {
    return decodeControlFile(await readFile(join(dataDirectory, 'global', 'pg_control')));
  } catch {
    return undefined;
  }
}

function readSegment(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
