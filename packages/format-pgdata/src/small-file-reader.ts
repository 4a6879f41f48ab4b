import { ReusableMemory } from '@neon-snapshot/format-core';
import type { SourceFile } from './source-tree.ts';

/** Larger files are read by themselves: at this size a call costs little beside its bytes. */
const SMALL_FILE_SIZE_MAX_BYTES = 256 * 1024;
const GROUP_SIZE_MAX_BYTES = 1024 * 1024;
const GROUP_COUNT_MAX = 256;
/** Groups under way or waiting to be taken: 2 MiB of memory. */
const GROUPS_AHEAD = 2;

interface Group {
  readonly indexes: readonly number[];
  readonly bodies: Promise<readonly (Uint8Array | undefined)[]>;
}

export interface SmallFileReaderOptions {
  readonly files: readonly SourceFile[];
  readonly signal?: AbortSignal | undefined;
}

/** Reads the small files of a list ahead and in groups, where their storage can. */
export class SmallFileReader {
  readonly #options: SmallFileReaderOptions;
  readonly #memory = new ReusableMemory({ sizeBytes: GROUP_SIZE_MAX_BYTES });
  readonly #groups: Group[] = [];
  #next = 0;

  constructor(options: SmallFileReaderOptions) {
    this.#options = options;
  }

  /** Whether {@link take} is the way to read the file. */
  static takes(file: SourceFile): boolean {
    const { sizeBytes, storage } = file;
    const isSmall = sizeBytes > 0 && sizeBytes <= SMALL_FILE_SIZE_MAX_BYTES;
    return isSmall && storage.fileTree?.readFiles !== undefined;
  }

  /** The bytes of the file at an index, the indexes ascending; undefined where a `get` has to say what is wrong with it. */
  async take(index: number): Promise<Uint8Array | undefined> {
    while ((this.#groups[0]?.indexes.at(-1) ?? index) < index) this.#groups.shift();
    while (this.#groups.length < GROUPS_AHEAD && this.#next < this.#options.files.length) this.#startGroup();
    const group = this.#groups[0];
    return (await group?.bodies)?.[group?.indexes.indexOf(index) ?? -1];
  }

  async settle(): Promise<void> {
    await Promise.allSettled(this.#groups.map(({ bodies }) => bodies));
  }

  #startGroup(): void {
    const { files } = this.#options;
    const indexes: number[] = [];
    let sizeBytes = 0;
    let storage: SourceFile['storage'] | undefined;
    for (; this.#next < files.length; this.#next += 1) {
      const file = files[this.#next];
      if (file === undefined || !SmallFileReader.takes(file)) continue;
      storage ??= file.storage;
      const isFull = indexes.length === GROUP_COUNT_MAX || sizeBytes + file.sizeBytes > GROUP_SIZE_MAX_BYTES;
      if (isFull || file.storage !== storage) break;
      indexes.push(this.#next);
      sizeBytes += file.sizeBytes;
    }
    if (indexes.length === 0) return;
    const bodies = this.#readTogether(indexes.flatMap((index) => files[index] ?? []));
    // Whoever takes a body meets the error; until then it must not count as unhandled.
    bodies.catch(() => undefined);
    this.#groups.push({ indexes, bodies });
  }

  async #readTogether(files: readonly SourceFile[]): Promise<readonly (Uint8Array | undefined)[]> {
    const memory = this.#memory.take();
    const { signal } = this.#options;
    const found = await files[0]?.storage.fileTree?.readFiles?.(files, { memory, signal });
    const chunks = this.#memory.cut(
      memory,
      files.map(({ sizeBytes }) => sizeBytes),
    );
    return [...chunks].map((chunk, position) => (found?.[position] === undefined ? undefined : chunk));
  }
}
