import type { WrittenFile } from '@neon-snapshot/format-core';
import { releaseChunk } from '@neon-snapshot/format-core';
import { crc32c } from '@neon-snapshot/postgres';
import type { Destination } from './destination.ts';
import type { TaskLimit } from './task-limit.ts';

const BATCH_SIZE_MAX_BYTES = 1024 * 1024;
const BATCH_COUNT_MAX = 256;

/** A whole file; its bytes are given up when they are written. */
export interface SmallFile {
  readonly bytes: Uint8Array;
  /** Where it goes: a file may be wanted twice. */
  readonly paths: readonly string[];
  readonly modifiedAt: Date;
}

export interface SmallFileWriterOptions {
  readonly destination: Destination;
  readonly writes: TaskLimit;
  readonly onWritten: (file: WrittenFile) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Gathers the small files of one partition and writes them a batch at a time, while the next ones are read. */
export class SmallFileWriter {
  readonly #options: SmallFileWriterOptions;
  #files: SmallFile[] = [];
  #sizeBytes = 0;

  constructor(options: SmallFileWriterOptions) {
    this.#options = options;
  }

  async add(file: SmallFile): Promise<void> {
    this.#files.push(file);
    this.#sizeBytes += file.bytes.length;
    const countMax = this.#options.destination.writesTogether ? BATCH_COUNT_MAX : 1;
    if (this.#sizeBytes >= BATCH_SIZE_MAX_BYTES || this.#files.length >= countMax) await this.flush();
  }

  /** Returns when the writing of the batch has begun. */
  async flush(): Promise<void> {
    const files = this.#files;
    this.#files = [];
    this.#sizeBytes = 0;
    if (files.length > 0) await this.#options.writes.start(() => this.#write(files));
  }

  async #write(files: readonly SmallFile[]): Promise<void> {
    const { destination, onWritten, signal } = this.#options;
    const all = files.flatMap(({ bytes, paths }) => paths.map((path) => ({ path, bytes })));
    await destination.putFiles(all, { signal });
    for (const { bytes, paths, modifiedAt } of files) {
      const crc = crc32c(bytes);
      for (const path of paths) onWritten({ path, sizeBytes: bytes.length, crc32c: crc, modifiedAt });
      releaseChunk(bytes);
    }
  }
}
