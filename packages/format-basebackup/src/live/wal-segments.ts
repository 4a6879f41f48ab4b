import { type EndEntry, type FileEntry, FormatError, type SnapshotEntry } from '@neon-snapshot/format-core';
import { formatLsn, lsn, walSegmentFileName, walSegmentNumber } from '@neon-snapshot/postgres';
import type { WalPosition, WalStream } from '@neon-snapshot/pq-proto';
import { WAL_DIRECTORY } from '../layout.ts';
import { serverFault } from './server-fault.ts';

export interface WalSegmentsOptions {
  readonly stream: WalStream;
  /** Start of a segment. */
  readonly startLsn: bigint;
  readonly timeLineId: number;
  readonly segmentSizeBytes: number;
  /** Where the WAL needed ends; known when the backup has ended. Its rejection ends the reading. */
  readonly end: Promise<WalPosition>;
}

const ZEROS = new Uint8Array(64 * 1024);

/** Streamed WAL as files of whole segments; the last one is filled with zeros, at which recovery stops. */
export class WalSegments {
  readonly #options: WalSegmentsOptions;
  #position: bigint;
  #pending: Uint8Array = new Uint8Array(0);
  #end: bigint | undefined;

  constructor(options: WalSegmentsOptions) {
    this.#options = options;
    this.#position = options.startLsn;
    options.end.then(
      ({ lsn: end }) => {
        this.#end = end;
        // A quiet server would be silent for half a minute.
        options.stream.sendStandbyStatus({ written: 0n, flushed: 0n, replyRequested: true });
      },
      // Whoever made the promise ends the connection.
      () => undefined,
    );
  }

  async *entries(): AsyncGenerator<Exclude<SnapshotEntry, EndEntry>, void, undefined> {
    const { segmentSizeBytes, timeLineId } = this.#options;
    while (await this.#hasMore()) {
      const segno = walSegmentNumber(lsn(this.#position), segmentSizeBytes);
      const name = walSegmentFileName(timeLineId, segno, segmentSizeBytes);
      yield {
        kind: 'file',
        path: `${WAL_DIRECTORY}/${name}`,
        sizeBytes: segmentSizeBytes,
        body: this.#body(),
      } satisfies FileEntry;
    }
  }

  async *#body(): AsyncGenerator<Uint8Array, void, undefined> {
    let room = this.#options.segmentSizeBytes;
    while (room > 0 && (await this.#hasMore())) {
      const part = this.#pending.subarray(0, room);
      this.#pending = this.#pending.subarray(part.length);
      this.#position += BigInt(part.length);
      room -= part.length;
      yield part;
    }
    for (; room > 0; room -= Math.min(room, ZEROS.length)) yield ZEROS.slice(0, room);
  }

  /** Waits for WAL; false when all that is needed has been given out. */
  async #hasMore(): Promise<boolean> {
    while (this.#end === undefined || this.#position < this.#end) {
      if (this.#pending.length > 0) return true;
      await this.#receive();
    }
    return false;
  }

  async #receive(): Promise<void> {
    const message = await this.#read();
    if (message?.kind === 'keepalive') return;
    if (message?.kind !== 'data') {
      throw walError(
        message === undefined
          ? 'the server ended the stream of WAL before the backup was whole'
          : `the server was promoted to TimeLineID ${message.nextTimeLineId} while it was backed up; take the backup again`,
      );
    }
    const expected = this.#position + BigInt(this.#pending.length);
    if (message.startLsn !== expected) {
      throw walError(
        `the server sent WAL of ${formatLsn(lsn(message.startLsn))}, expected ${formatLsn(lsn(expected))}`,
      );
    }
    this.#pending = message.data;
  }

  async #read() {
    try {
      return await this.#options.stream.read();
    } catch (error) {
      throw serverFault(error, 'stream WAL');
    }
  }
}

function walError(message: string): FormatError {
  return new FormatError({ code: 'FORMAT_SERVER', operation: 'stream WAL', message });
}
