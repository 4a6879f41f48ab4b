import {
  encodeUstarHeader,
  FramedStream,
  type FrameThreads,
  paddingOf,
  TAR_END_SIZE,
  type UstarMember,
} from '@neon-snapshot/archive';
import { releaseChunk } from '@neon-snapshot/format-core';
import { crc32c } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { DIRECTORY_MODE, FILE_MODE, formatTarName, OWNER, type TarRole } from './layout.ts';
import type { Compression } from './options.ts';

export interface TarSinkOptions {
  readonly storage: Storage;
  readonly role: TarRole;
  readonly compression: Compression;
  readonly threads: FrameThreads;
  /** Time of directories and links. */
  readonly now: Date;
  readonly signal?: AbortSignal | undefined;
}

export interface SinkFile {
  /** Within the tar. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** Exactly `sizeBytes`; released when they were taken. */
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** As of a `FileEntry`. */
  readonly crc32c?: (() => number) | undefined;
}

/** One tar on its way to the storage. Members that several partitions write at a time wait for each other. */
export class TarSink {
  readonly key: string;
  readonly #options: TarSinkOptions;
  readonly #stream: FramedStream;
  readonly #directories = new Set<string>();
  readonly #put: Promise<number>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: TarSinkOptions) {
    const { storage, role, compression, threads, signal } = options;
    this.key = formatTarName({ role, compression: compression.kind });
    this.#options = options;
    this.#stream = new FramedStream({ compression: compression.kind, level: compression.level, threads });
    this.#put = storage.put(this.key, this.#stream.read(), { signal }).then(({ sizeBytes }) => sizeBytes);
    // Whoever ends or aborts the sink meets the error; a writer in between is stopped by the failed stream, which a put that never
    // began to read would leave waiting for room.
    this.#put.catch((error: unknown) => this.#stream.fail(error));
  }

  /** Adds the directory and its parents, each once. */
  addDirectory(name: string): Promise<void> {
    return this.#inTurn(() => this.#addDirectories(name));
  }

  addLink(name: string, linkTarget: string): Promise<void> {
    const { now: modifiedAt } = this.#options;
    return this.#inTurn(() =>
      this.#header({ kind: 'link', path: name, linkTarget, mode: 0o777, modifiedAt, owner: OWNER }),
    );
  }

  /** Returns the CRC-32C of the body. */
  addFile(file: SinkFile): Promise<number> {
    return this.#inTurn(() => this.#addFile(file));
  }

  /** Ends the tar; resolves with its stored size when it is durable and visible. */
  async end(): Promise<number> {
    await this.#inTurn(() => this.#write(new Uint8Array(TAR_END_SIZE)));
    this.#stream.end();
    return this.#put;
  }

  /** Nothing becomes visible, or what did is removed. Never rejects for a missing object. */
  async abort(): Promise<void> {
    this.#stream.fail(new Error('the backup was aborted'));
    const isStored = await this.#put.then(
      () => true,
      () => false,
    );
    const removal = this.#options.storage.delete([this.key]);
    // A put that failed may have been done all the same, only its answer was lost.
    await (isStored ? removal : removal.catch(() => undefined));
  }

  /** One after the other, in the order of the calls; a failure does not stop those behind it. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action, action);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #addDirectories(name: string): Promise<void> {
    if (name === '.' || name === '' || this.#directories.has(name)) return;
    this.#directories.add(name);
    await this.#addDirectories(parentOf(name));
    const { now: modifiedAt } = this.#options;
    await this.#header({ kind: 'directory', path: name, mode: DIRECTORY_MODE, modifiedAt, owner: OWNER });
  }

  async #addFile({ name, sizeBytes, modifiedAt, body, crc32c: known }: SinkFile): Promise<number> {
    await this.#addDirectories(parentOf(name));
    await this.#header({ kind: 'file', path: name, sizeBytes, mode: FILE_MODE, modifiedAt, owner: OWNER });
    let crc = 0;
    for await (const chunk of body) {
      if (known === undefined) crc = crc32c(chunk, crc);
      await this.#write(chunk);
      releaseChunk(chunk);
    }
    await this.#write(new Uint8Array(paddingOf(sizeBytes)));
    return known?.() ?? crc;
  }

  #header(member: UstarMember): Promise<void> {
    return this.#write(encodeUstarHeader(member));
  }

  /** A stream that the storage closed says so only by being closed: the reason is the put's. */
  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#stream.write(bytes);
    } catch (error) {
      await this.#put;
      throw error;
    }
  }
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}
