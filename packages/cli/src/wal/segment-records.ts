import {
  decodeXLogRecordHeader,
  formatLsn,
  type Lsn,
  lsn,
  readWalRecords,
  WAL_PAGE_SIZE,
  type WalEnd,
  type WalRecord,
  walSegmentNumber,
} from '@neon-snapshot/postgres';

export interface SegmentRecordsOptions {
  readonly major: number;
  readonly segmentSize: number;
  /** The first record that starts here or later is the first one; anywhere inside of the WAL. */
  readonly start: Lsn;
  /** The bytes of a segment, or undefined where there is none. Asked once for each, in order but for a look behind damage. */
  readonly load: (segno: number) => Promise<Uint8Array | undefined>;
  readonly signal: AbortSignal;
}

/** Records that are handed over at once: what each `await` costs is shared by them. */
const BATCH_RECORDS = 512;

/** Says which segment the reader has to wait for. */
class SegmentNeeded extends Error {
  readonly segno: number;

  constructor(segno: number) {
    super(`segment ${segno} is not loaded`);
    this.segno = segno;
  }
}

/**
 * Records of WAL whose segments are loaded as they are needed: those of the record at hand are in memory, and behind damage up
 * to four more. A batch's records are views that are valid until the next batch is asked for.
 */
export async function* readSegmentRecords(
  options: SegmentRecordsOptions,
): AsyncGenerator<readonly WalRecord[], WalEnd, undefined> {
  const { major, segmentSize, start, load, signal } = options;
  const loaded = new Map<number, Uint8Array | undefined>();
  const segment = (segno: number) => {
    if (!loaded.has(segno)) throw new SegmentNeeded(segno);
    return loaded.get(segno);
  };
  const reader: Reader = { source: undefined, previous: undefined };
  let position = lsn(start - (start % BigInt(WAL_PAGE_SIZE)));
  for (;;) {
    signal.throwIfAborted();
    reader.source ??= readWalRecords({ major, segmentSize, start: position, segment });
    const step = takeBatch(reader.source, { from: start, reader });
    if (step.records.length > 0) yield step.records;
    if (step.failure !== undefined) throw step.failure;
    if (step.end !== undefined) return step.end;
    position = reader.previous?.end ?? position;
    const first = walSegmentNumber(position, segmentSize);
    for (const segno of loaded.keys()) if (segno < first) loaded.delete(segno);
    if (step.needed === undefined) continue;
    loaded.set(step.needed, await load(step.needed));
    reader.source = undefined;
  }
}

interface Reader {
  source: ReturnType<typeof readWalRecords> | undefined;
  /** The last record that was read, also one before the asked-for start. */
  previous: Pick<WalRecord, 'start' | 'end'> | undefined;
}

interface Step {
  readonly records: readonly WalRecord[];
  readonly end?: WalEnd;
  readonly needed?: number;
  /** What came after the records. */
  readonly failure?: unknown;
}

function takeBatch(
  source: ReturnType<typeof readWalRecords>,
  { from, reader }: { readonly from: Lsn; readonly reader: Reader },
): Step {
  const records: WalRecord[] = [];
  try {
    while (records.length < BATCH_RECORDS) {
      const { done, value } = source.next();
      if (done === true) return { records, end: value };
      const fault = linkFault(value, reader.previous);
      if (fault !== undefined) return { records, end: fault };
      reader.previous = { start: value.start, end: value.end };
      if (value.start >= from) records.push(value);
    }
    return { records };
  } catch (error) {
    if (error instanceof SegmentNeeded) return { records, needed: error.segno };
    return { records, failure: error };
  }
}

/** A reader that was started anew could not check the link to the record before it. */
function linkFault(record: WalRecord, before: Reader['previous']): WalEnd | undefined {
  const link = decodeXLogRecordHeader(record.bytes).previous;
  if (before === undefined || link === before.start) return undefined;
  const detail = `record at ${formatLsn(record.start)} links back to ${formatLsn(link)}; expected ${formatLsn(before.start)}`;
  return { lsn: before.end, reason: 'invalid-record', detail };
}
