import { isTimelineError, WalStreamDecoder } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn, lsn as toLsn } from '@neon-snapshot/postgres';
import { type IngestSink, isIngestError, type TimelineState, WalIngest } from '@neon-snapshot/wal-ingest';
import { PageServerError } from '../page-server-error.ts';
import type { LastRecord } from '../timeline/timeline-types.ts';
import { MemoryLayer } from './memory-layer.ts';
import { TailBuffer } from './tail-buffer.ts';

/** Records after which others get their turn: a millisecond or two. */
const RECORDS_PER_TURN = 2048;

export interface ClusterFacts {
  readonly systemIdentifier: bigint;
  readonly segmentSize: number;
}

export interface WalIntakeOptions {
  readonly major: number;
  /** Where the layers end. */
  readonly start: Lsn;
  readonly previousRecord: Lsn | undefined;
  /** Answers with what the intake itself holds, too. */
  readonly state: TimelineState;
  readonly readClusterFacts: () => Promise<ClusterFacts>;
  /** Told of every key that a record writes, before the record is readable. */
  readonly onWrite: (key: Uint8Array) => void;
  /** Told when records have become readable, at the latest when the bytes are used up. */
  readonly onProgress: () => void;
}

/** The reading of a stream of WAL; made anew after a failure. */
interface Stream {
  readonly decoder: WalStreamDecoder;
  readonly ingest: WalIngest;
}

/**
 * Takes the WAL stream of a timeline: records become changes in the open memory layer, and their raw bytes wait in the tail buffer.
 * What a reader may see ends with the last complete record.
 */
export class WalIntake {
  readonly tail: TailBuffer;
  readonly #options: WalIntakeOptions;
  #open: MemoryLayer;
  #facts: ClusterFacts | undefined;
  #stream: Stream | undefined;
  #lastStart: Lsn | undefined;
  #lastEnd: Lsn;
  #lastCrc: number | undefined;
  #isBusy = false;
  #boundaryWork: (() => void)[] = [];
  #recordCount = 0;

  constructor(options: WalIntakeOptions) {
    this.#options = options;
    this.#lastEnd = options.start;
    this.#lastStart = options.previousRecord;
    this.#open = new MemoryLayer(toLsn(options.start + 1n));
    this.tail = new TailBuffer(options.start);
  }

  /** The layer that changes go to. */
  get open(): MemoryLayer {
    return this.#open;
  }

  get lastRecordLsn(): Lsn {
    return this.#lastEnd;
  }

  get previousRecordLsn(): Lsn | undefined {
    return this.#lastStart;
  }

  get lastRecord(): LastRecord | undefined {
    const [start, crc] = [this.#lastStart, this.#lastCrc];
    return start === undefined || crc === undefined ? undefined : { start, end: this.#lastEnd, crc };
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Where the next bytes are expected; earlier ones are passed over. */
  get position(): Lsn {
    return this.#stream?.decoder.position ?? this.#lastEnd;
  }

  /** What is known of the last record from elsewhere: from the raw WAL that ends where the layers do. */
  setLastRecordCrc(crc: number): void {
    this.#lastCrc ??= crc;
  }

  /** The next bytes of the stream, which must not change afterwards. */
  async take(bytes: Uint8Array, start: Lsn): Promise<void> {
    if (this.#isBusy) throw concurrent();
    this.#isBusy = true;
    try {
      this.#stream ??= await this.#openStream();
      const fresh = this.#withoutKnown(bytes, start);
      this.tail.append(fresh);
      this.#stream.decoder.push(fresh);
      await this.#drain(this.#stream);
    } catch (error) {
      this.#reset();
      throw translate(error);
    } finally {
      this.#isBusy = false;
      this.#runBoundaryWork();
      this.#options.onProgress();
    }
  }

  /** Forgets what came of an unfinished record: the stream is taken up again at the last one's end. */
  restart(): void {
    if (this.#isBusy) throw concurrent();
    this.#reset();
  }

  /** Does something while no record is half done. */
  atBoundary<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#boundaryWork.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      if (!this.#isBusy) this.#runBoundaryWork();
    });
  }

  /** At a boundary: changes go to another layer from now on. Gives the one so far. */
  replaceOpen(): MemoryLayer {
    const before = this.#open;
    this.#open = new MemoryLayer(toLsn(this.#lastEnd + 1n));
    return before;
  }

  async #drain({ decoder, ingest }: Stream): Promise<void> {
    let untilTurn = RECORDS_PER_TURN;
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) {
      const pending = ingest.ingest(record);
      if (pending !== undefined) await pending;
      this.#lastStart = record.start;
      this.#lastEnd = record.end;
      this.#lastCrc = decoder.lastCrc;
      this.#recordCount += 1;
      untilTurn -= 1;
      if (untilTurn === 0) {
        untilTurn = RECORDS_PER_TURN;
        this.#runBoundaryWork();
        this.#options.onProgress();
        await new Promise((resolve) => setImmediate(resolve));
        this.#runBoundaryWork();
      }
    }
  }

  async #openStream(): Promise<Stream> {
    const { major, state, readClusterFacts, onWrite } = this.#options;
    this.#facts ??= await readClusterFacts();
    const { systemIdentifier, segmentSize } = this.#facts;
    const start = this.#lastEnd;
    const previousRecord = this.#lastStart;
    const decoder = new WalStreamDecoder({ major, systemIdentifier, segmentSize, start, previousRecord });
    const sink: IngestSink = (writes) => {
      for (const write of writes) {
        this.#open.add(write);
        onWrite(write.key);
      }
      return undefined;
    };
    const ingest = await WalIngest.open({ major, heapLayout: 'stock', state, sink });
    return { decoder, ingest };
  }

  #withoutKnown(bytes: Uint8Array, start: Lsn): Uint8Array {
    const { position } = this;
    if (start > position) throw gap(start, position);
    const known = Number(position - start);
    return known === 0 ? bytes : bytes.subarray(Math.min(known, bytes.length));
  }

  #reset(): void {
    this.#stream = undefined;
    this.#open.truncate(this.#lastEnd);
    this.tail.truncate(this.#lastEnd);
  }

  #runBoundaryWork(): void {
    if (this.#boundaryWork.length === 0) return;
    const works = this.#boundaryWork;
    this.#boundaryWork = [];
    for (const work of works) work();
  }
}

/** Faults of the WAL itself; what reading the timeline failed with stays as it is. */
function translate(error: unknown): unknown {
  if (!isTimelineError(error) && !isIngestError(error)) return error;
  return new PageServerError({
    code: 'PAGESERVER_INVALID_WAL',
    operation: 'ingest',
    message: `the WAL does not continue the timeline, or cannot be taken: ${error.message}`,
    context: { reason: error.code },
    cause: error,
  });
}

function gap(start: Lsn, position: Lsn): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_WAL',
    operation: 'ingest',
    message: `WAL from ${formatLsn(start)} on came where ${formatLsn(position)} is next; what lies between is missing`,
    context: { start: formatLsn(start), expected: formatLsn(position) },
  });
}

function concurrent(): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'ingest',
    message: 'WAL was handed over while earlier WAL of the timeline was still being taken',
  });
}
