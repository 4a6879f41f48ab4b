import { type FileEntry, FormatError, pageRuns } from '@neon-snapshot/format-core';
import { BLCKSZ, parseRelationPath, RELSEG_BLOCKS } from '@neon-snapshot/postgres';
import { isStorageError, readAll } from '@neon-snapshot/storage-core';
import { type PageVerifier, RUN_PAGE_COUNT_MAX } from './page-verifier.ts';
import { SmallFileReader } from './small-file-reader.ts';
import type { SourceFile } from './source-tree.ts';

/** Files up to this size are read whole, and before they are asked for. */
const SMALL_FILE_SIZE_MAX_BYTES = RUN_PAGE_COUNT_MAX * BLCKSZ;

/** Such files read ahead in one partition, at most: 4 MiB of memory. */
const READ_AHEAD_COUNT_MAX = 4;

export interface FileBodiesOptions {
  readonly files: readonly SourceFile[];
  /** Files that may be opened at the same time; 1 to 4. */
  readonly readAheadCountMax: number;
  /** Absent: page checksums are not verified. */
  readonly verifier?: PageVerifier | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The files as entries, in order. Opening is what costs with many small files, so those that come next are read while the
 * receiver works. Bodies of relation files are runs of whole pages of at most 1 MiB.
 */
export async function* readFiles(options: FileBodiesOptions): AsyncGenerator<FileEntry, void, undefined> {
  const ahead = new ReadAhead(options);
  try {
    for (const [index, file] of options.files.entries()) {
      ahead.fillFrom(index);
      yield {
        kind: 'file',
        path: file.path,
        sizeBytes: file.sizeBytes,
        ...(file.modifiedAt === undefined ? {} : { modifiedAt: file.modifiedAt }),
        body: verified(sized(ahead.bodyOf(index, file), file), file, options.verifier),
      };
    }
  } finally {
    await ahead.settle();
  }
}

/** Reads the small files of a window after the current one; in groups where the storage can, else one by one. */
class ReadAhead {
  readonly #options: FileBodiesOptions;
  readonly #window: number;
  readonly #pending = new Map<number, Promise<Uint8Array>>();
  readonly #small: SmallFileReader;
  #next = 0;

  constructor(options: FileBodiesOptions) {
    this.#options = options;
    this.#small = new SmallFileReader(options);
    this.#window = Math.max(1, Math.min(options.readAheadCountMax, READ_AHEAD_COUNT_MAX));
  }

  fillFrom(index: number): void {
    const { files } = this.#options;
    const end = Math.min(files.length, index + this.#window);
    for (this.#next = Math.max(this.#next, index); this.#next < end; this.#next++) {
      const file = files[this.#next];
      if (file === undefined || file.sizeBytes === 0 || file.sizeBytes > SMALL_FILE_SIZE_MAX_BYTES) continue;
      if (SmallFileReader.takes(file)) continue;
      const reading = this.#readWhole(file);
      // Whoever takes the body meets the error; until then it must not count as unhandled.
      reading.catch(() => undefined);
      this.#pending.set(this.#next, reading);
    }
  }

  async *bodyOf(index: number, file: SourceFile): AsyncGenerator<Uint8Array, void, undefined> {
    if (file.sizeBytes === 0) return;
    const bytes = SmallFileReader.takes(file) ? await this.#small.take(index) : undefined;
    if (bytes !== undefined) {
      yield bytes;
      return;
    }
    const reading = this.#pending.get(index);
    if (reading !== undefined) {
      this.#pending.delete(index);
      yield await reading;
      return;
    }
    try {
      const { body } = await file.storage.get(file.key, { signal: this.#options.signal });
      if (parseRelationPath(file.path) === undefined) yield* body;
      else yield* pageRuns(body, { path: file.path, pageCountMax: RUN_PAGE_COUNT_MAX });
    } catch (error) {
      throw vanishedError(error, file);
    }
  }

  async settle(): Promise<void> {
    await Promise.allSettled([...this.#pending.values(), this.#small.settle()]);
  }

  async #readWhole(file: SourceFile): Promise<Uint8Array> {
    try {
      const { body } = await file.storage.get(file.key, { signal: this.#options.signal });
      return await readAll(body, { sizeMaxBytes: SMALL_FILE_SIZE_MAX_BYTES, key: file.path });
    } catch (error) {
      throw vanishedError(error, file);
    }
  }
}

/** The body, if it has the planned size. */
async function* sized(
  body: AsyncIterable<Uint8Array>,
  file: SourceFile,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > file.sizeBytes) break;
    yield chunk;
  }
  if (bytes === file.sizeBytes) return;
  const found = bytes > file.sizeBytes ? 'more' : `${bytes}`;
  throw changedError(file, `it has ${found} bytes, expected ${file.sizeBytes}`);
}

async function* verified(
  runs: AsyncIterable<Uint8Array>,
  file: SourceFile,
  verifier: PageVerifier | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const relation = verifier === undefined ? undefined : parseRelationPath(file.path);
  if (verifier === undefined || relation === undefined) {
    yield* runs;
    return;
  }
  let firstBlockNumber = relation.segno * RELSEG_BLOCKS;
  for await (const run of runs) {
    verifier.verify(run, { path: file.path, firstBlockNumber });
    firstBlockNumber += run.length / BLCKSZ;
    yield run;
  }
}

function vanishedError(error: unknown, file: SourceFile): unknown {
  if (isStorageError(error, 'STORAGE_NOT_FOUND')) return changedError(file, 'it is gone', error);
  if (isStorageError(error, 'STORAGE_TRUNCATED')) return changedError(file, 'it became shorter', error);
  return error;
}

function changedError(file: SourceFile, what: string, cause?: unknown): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read file',
    message: `${file.path} changed while it was read: ${what}; is a server running on ${file.storage.url}?`,
    context: { path: file.path, sizeBytes: file.sizeBytes },
    cause,
  });
}
