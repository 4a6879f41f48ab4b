import {
  assertKnownOptions,
  type FileEntry,
  FormatError,
  type SnapshotPartition,
  type SnapshotTrailer,
  type SnapshotWriter,
  sortCanonically,
  type WriteContext,
  type WriteResult,
} from '@neon-snapshot/format-core';
import { crc32c, decodeControlFile, isPostgresFormatError } from '@neon-snapshot/postgres';
import { isStorageError } from '@neon-snapshot/storage-core';
import { encodeSnapshot, fileKey, INDEX_KEY, type StoredFile } from './stored-snapshot.ts';

/** Checks that the snapshot can be held and that the place is free. Writes nothing. */
export async function openWriter(context: WriteContext): Promise<SnapshotWriter> {
  assertKnownOptions(context.options, []);
  const { info } = context.source;
  if (info.tablespaces.length > 0) throw unsupported('user tablespaces');
  if (info.consistency.kind !== 'consistent') throw unsupported('a base backup that needs WAL');
  await assertFree(context);
  return new Writer(context);
}

class Writer implements SnapshotWriter {
  readonly partitionCountMax: number;
  readonly #context: WriteContext;
  readonly #files: StoredFile[] = [];
  readonly #directories: string[] = [];
  /** Put, or about to be. */
  readonly #keys = new Set<string>();

  constructor(context: WriteContext) {
    this.#context = context;
    this.partitionCountMax = context.concurrency;
  }

  async writePartition(partition: SnapshotPartition): Promise<void> {
    for await (const entry of partition.entries) {
      if (entry.kind === 'directory') this.#directories.push(entry.path);
      if (entry.kind === 'file') await this.#put(entry);
    }
  }

  async close({ controlFile }: SnapshotTrailer): Promise<WriteResult> {
    const { storage, signal, source } = this.#context;
    assertControlFile(controlFile);
    const files = sortCanonically(this.#files);
    const snapshot = { info: source.info, directories: this.#directories.sort(), files, controlFile };
    const index = encodeSnapshot(snapshot);
    this.#keys.add(INDEX_KEY);
    await storage.put(INDEX_KEY, index, { signal });
    const bytesWritten = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, index.length);
    return { facts: { files: files.length }, bytesWritten, objectsWritten: this.#keys.size };
  }

  /** Not with the caller's signal: an interrupted write has to clean up too. */
  async abort(): Promise<void> {
    await this.#context.storage.delete([...this.#keys]).catch(() => undefined);
  }

  async #put({ path, sizeBytes, body }: FileEntry): Promise<void> {
    const key = fileKey(path);
    if (this.#keys.has(key)) throw invalid(`${path} comes twice`);
    this.#keys.add(key);
    let crc = 0;
    const checked = async function* () {
      for await (const chunk of body) {
        crc = crc32c(chunk, crc);
        yield chunk;
      }
    };
    const { storage, signal } = this.#context;
    await storage.put(key, checked(), { sizeBytes, signal });
    this.#files.push({ path, sizeBytes, crc32c: crc });
  }
}

async function assertFree({ storage, signal }: WriteContext): Promise<void> {
  try {
    await storage.head(INDEX_KEY, { signal });
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return;
    throw error;
  }
  throw new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'open writer',
    message: `${storage.url} holds a snapshot already (${INDEX_KEY}); name another place`,
  });
}

function assertControlFile(bytes: Uint8Array): void {
  try {
    decodeControlFile(bytes);
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    throw invalid(`its pg_control is damaged: ${error.message}`, error);
  }
}

function invalid(what: string, cause?: unknown): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'write snapshot',
    message: `the snapshot cannot be stored: ${what}`,
    cause,
  });
}

function unsupported(what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'open writer',
    message: `this format has no room for ${what}`,
  });
}
