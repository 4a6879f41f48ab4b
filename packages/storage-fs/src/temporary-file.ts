import { type BigIntStats, closeSync, fchmodSync, fstatSync } from 'node:fs';
import type { PutOptions } from '@neon-snapshot/storage-core';
import { abortableItems, type PutBody, sizeMismatchError } from '@neon-snapshot/storage-core';
import { type FailedCall, translated } from './errors.ts';
import { CREATE_FLAGS, fdatasync, fsync, futimes, open, unlink, write } from './fs-calls.ts';
import { temporaryName } from './hidden-names.ts';
import { PERMISSION_BITS } from './object-info.ts';

/** Smaller chunks are gathered up to this size, larger ones than a quarter of it are written as they are. */
const WRITE_BUFFER_BYTES = 1024 * 1024;
const DIRECT_WRITE_BYTES = WRITE_BUFFER_BYTES / 4;
/**
 * A large file is sent to the disk already while it is written, in steps of this size: else all of it waits for the one sync at
 * the end, 0.4 s for 1 GB (measured).
 */
const WRITE_BACK_BYTES = 32 * 1024 * 1024;

/** A body on its way to becoming an object: a hidden file in the directory of that object. */
export class TemporaryFile {
  readonly path: string;
  readonly #descriptor: number;
  /** What failed system calls are reported as; failures of the body's source pass as they are. */
  readonly #call: FailedCall;
  #open = true;
  #unsentBytes = 0;
  #writeBack: Promise<void> | undefined;

  private constructor(path: string, descriptor: number, call: FailedCall) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#call = call;
  }

  /** Rejects with the plain system error, for the caller to see that the directory is gone. */
  static async create(directoryPath: string, mode: number, call: FailedCall): Promise<TemporaryFile> {
    const path = `${directoryPath}/${temporaryName()}`;
    return new TemporaryFile(path, await open(path, CREATE_FLAGS, mode), call);
  }

  /** Writes the whole body; its size. `STORAGE_TRUNCATED` where it is not as long as announced. */
  async writeBody(key: string, body: PutBody, options: PutOptions): Promise<number> {
    if (body instanceof Uint8Array) {
      await this.#writeAll(body);
      return body.byteLength;
    }
    const expectedBytes = key.endsWith('/') ? 0 : options.sizeBytes;
    const gathered = new GatheredWrites(async (bytes) => {
      await this.#writeAll(bytes);
      this.#sendToDisk(bytes.byteLength);
    });
    let foundBytes = 0;
    for await (const chunk of abortableItems(body, { operation: 'put', key, signal: options.signal })) {
      foundBytes += chunk.byteLength;
      if (expectedBytes !== undefined && foundBytes > expectedBytes) break;
      await gathered.add(chunk);
    }
    if (expectedBytes !== undefined && foundBytes !== expectedBytes) {
      throw sizeMismatchError({ key, expectedBytes, foundBytes });
    }
    await gathered.flush();
    return foundBytes;
  }

  /**
   * Sets the time by a clock of microseconds: the kernel's own moves in ticks of up to 4 ms, within which a freed inode
   * can come back, and two versions would share an etag.
   */
  async stamp(): Promise<void> {
    const seconds = (performance.timeOrigin + performance.now()) / 1000;
    await translated(this.#call, () => futimes(this.#descriptor, seconds, seconds));
  }

  async sync(): Promise<void> {
    await translated(this.#call, () => fsync(this.#descriptor));
  }

  /**
   * Facts of the finished file; closes it. The permission bits are made exact where the umask cut some. All of it
   * touches the inode in memory only, so nothing goes to the thread pool.
   */
  async finish(mode: number | undefined): Promise<BigIntStats> {
    return translated(this.#call, async () => {
      await this.#writeBack;
      const stats = fstatSync(this.#descriptor, { bigint: true });
      if (mode !== undefined && Number(stats.mode & PERMISSION_BITS) !== mode)
        fchmodSync(this.#descriptor, mode);
      this.#close();
      return stats;
    });
  }

  /** Removes the file unless it has been renamed away. */
  async discard(): Promise<void> {
    await this.#writeBack?.catch(() => undefined);
    this.#close();
    await unlink(this.path).catch(() => undefined);
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#descriptor);
  }

  /** Starts a write-back unless one is under way; `finish` waits for it and meets its failure. */
  #sendToDisk(writtenBytes: number): void {
    this.#unsentBytes += writtenBytes;
    if (this.#unsentBytes < WRITE_BACK_BYTES || this.#writeBack !== undefined) return;
    this.#unsentBytes = 0;
    this.#writeBack = fdatasync(this.#descriptor).then(() => {
      this.#writeBack = undefined;
    });
    this.#writeBack.catch(() => undefined);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    await translated(this.#call, async () => {
      for (let offset = 0; offset < bytes.byteLength; ) {
        const { bytesWritten } = await write(this.#descriptor, bytes, offset, bytes.byteLength - offset);
        offset += bytesWritten;
      }
    });
  }
}

/** Few system calls for many small chunks. Copies what it keeps, since a producer may reuse its chunks. */
class GatheredWrites {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  #buffer: Uint8Array | undefined;
  #filled = 0;

  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  async add(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength >= DIRECT_WRITE_BYTES) {
      await this.flush();
      await this.#write(chunk);
      return;
    }
    if (this.#filled + chunk.byteLength > WRITE_BUFFER_BYTES) await this.flush();
    this.#buffer = grown(this.#buffer, this.#filled, this.#filled + chunk.byteLength);
    this.#buffer.set(chunk, this.#filled);
    this.#filled += chunk.byteLength;
  }

  async flush(): Promise<void> {
    if (this.#buffer === undefined || this.#filled === 0) return;
    await this.#write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

/** Grows by doubling, so that a body of a few KiB does not cost a whole buffer. */
function grown(buffer: Uint8Array | undefined, filled: number, neededBytes: number): Uint8Array {
  if (buffer !== undefined && buffer.byteLength >= neededBytes) return buffer;
  let sizeBytes = buffer?.byteLength ?? 16 * 1024;
  while (sizeBytes < neededBytes) sizeBytes *= 2;
  const larger = new Uint8Array(Math.min(sizeBytes, WRITE_BUFFER_BYTES));
  if (buffer !== undefined) larger.set(buffer.subarray(0, filled));
  return larger;
}
