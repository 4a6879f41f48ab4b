import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileEntry, FormatError } from '@neon-snapshot/format-core';
import { type Lsn, lsn, walSegmentFileName, walSegmentNumber } from '@neon-snapshot/postgres';

const WAL_PATH = /^pg_wal\/([0-9A-F]{24})$/;
const READ_BYTES = 1024 * 1024;

/** The WAL of a backup while it waits for the pages: one file for each segment, below the temporary directory. */
export class WalScratch implements AsyncDisposable {
  readonly #segmentSize: number;
  readonly #stored = new Set<string>();
  #directory: Promise<string> | undefined;

  constructor(segmentSize: number) {
    this.#segmentSize = segmentSize;
  }

  /** Is it a segment of WAL, by its name? */
  takes(path: string): boolean {
    return WAL_PATH.test(path);
  }

  async take({ path, sizeBytes, body }: FileEntry): Promise<void> {
    const name = WAL_PATH.exec(path)?.[1];
    if (name === undefined) throw new Error(`${path} is no segment of WAL`);
    if (sizeBytes !== this.#segmentSize || this.#stored.has(name)) throw this.#unexpected(path, sizeBytes);
    this.#stored.add(name);
    this.#directory ??= mkdtemp(join(tmpdir(), 'neon-wal-'));
    await using file = await open(join(await this.#directory, name), 'wx', 0o600);
    for await (const chunk of body) await file.appendFile(chunk);
  }

  /** The bytes from a place on, over as many segments of a TimeLineID as follow each other. `FORMAT_TRUNCATED` where there are none. */
  async *read(start: Lsn, timeLineId: number): AsyncGenerator<Uint8Array, void, undefined> {
    const size = this.#segmentSize;
    const first = walSegmentNumber(start, size);
    for (let segno = first; ; segno += 1) {
      const name = walSegmentFileName(timeLineId, segno, size);
      if (!this.#stored.has(name)) {
        if (segno === first) throw missing(name);
        return;
      }
      const path = join(await this.#directoryPath(), name);
      const offset = segno === first ? Number(start % BigInt(size)) : 0;
      yield* createReadStream(path, { start: offset, highWaterMark: READ_BYTES });
    }
  }

  /** The whole segment that holds a place, and the one behind it where there is one. */
  async segmentsAt(
    position: Lsn,
    timeLineId: number,
  ): Promise<{
    readonly segment: Uint8Array;
    readonly nextSegment?: Uint8Array;
    readonly segmentStart: Lsn;
  }> {
    const size = this.#segmentSize;
    const segno = walSegmentNumber(position, size);
    const segment = await this.#readSegment(walSegmentFileName(timeLineId, segno, size));
    const following = walSegmentFileName(timeLineId, segno + 1, size);
    return {
      segment,
      segmentStart: lsn(position - (position % BigInt(size))),
      ...(this.#stored.has(following) ? { nextSegment: await this.#readSegment(following) } : {}),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const directory = await this.#directory?.catch(() => undefined);
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }

  async #readSegment(name: string): Promise<Uint8Array> {
    if (!this.#stored.has(name)) throw missing(name);
    await using file = await open(join(await this.#directoryPath(), name));
    return new Uint8Array(await file.readFile());
  }

  async #directoryPath(): Promise<string> {
    return (await this.#directory) ?? '';
  }

  #unexpected(path: string, sizeBytes: number): FormatError {
    return new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'take WAL',
      message: `${path} comes twice or has ${sizeBytes} bytes; a segment of this cluster has ${this.#segmentSize}`,
      context: { path, sizeBytes },
    });
  }
}

function missing(name: string): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read WAL of backup',
    message: `the backup has no WAL segment pg_wal/${name}, which it needs to become consistent; take it with its WAL (pg_basebackup -X stream)`,
    context: { path: `pg_wal/${name}` },
  });
}
