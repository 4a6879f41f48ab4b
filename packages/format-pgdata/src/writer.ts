import {
  assertKnownOptions,
  decodeTrailer,
  defaultConfiguration,
  encodeSnapshotManifest,
  type FileEntry,
  FormatError,
  mainForkOfInit,
  releaseChunk,
  type SnapshotPartition,
  type SnapshotTrailer,
  type SnapshotWriter,
  standardDirectories,
  type WriteContext,
  type WriteResult,
  type WrittenFile,
  writtenFacts,
} from '@neon-snapshot/format-core';
import { assertPostgresMajor, type ControlFile, crc32c } from '@neon-snapshot/postgres';
import type { PutBody } from '@neon-snapshot/storage-core';
import { ChecksummedBody } from './checksummed-body.ts';
import { BACKUP_LABEL_PATH, CONTROL_FILE_PATH, MANIFEST_PATH } from './data-directory-layout.ts';
import type { Destination } from './destination.ts';
import { openDestination } from './destination-checks.ts';
import { WRITE_OPTIONS } from './options.ts';
import { SmallFileWriter } from './small-file-writer.ts';
import { TaskLimit } from './task-limit.ts';

/** Checks that the destination is empty and has the room. Writes nothing. */
export async function openWriter(context: WriteContext): Promise<SnapshotWriter> {
  assertKnownOptions(context.options, WRITE_OPTIONS);
  assertMajor(context);
  return new DataDirectoryWriter(context, await openDestination(context));
}

/** Files up to this size are taken whole, and written while the next entries are read. */
const SMALL_FILE_SIZE_MAX_BYTES = 1024 * 1024;

/**
 * Writes a data directory: files 0600 and directories 0700, made durable at the end, then `backup_manifest`, and
 * `global/pg_control` last, without which no Postgres takes it for a data directory.
 */
class DataDirectoryWriter implements SnapshotWriter {
  readonly partitionCountMax: number;
  readonly #context: WriteContext;
  readonly #destination: Destination;
  readonly #puts: TaskLimit;
  readonly #claimed = new Set<string>();
  readonly #written: WrittenFile[] = [];
  #bytesWritten = 0;
  #preparing: Promise<void> | undefined;
  #isClosed = false;

  constructor(context: WriteContext, destination: Destination) {
    this.partitionCountMax = context.concurrency;
    this.#context = context;
    this.#destination = destination;
    this.#puts = new TaskLimit(context.concurrency);
  }

  async writePartition(partition: SnapshotPartition): Promise<void> {
    await this.#prepare();
    const small = new SmallFileWriter({
      destination: this.#destination,
      writes: this.#puts,
      onWritten: (file) => this.#count(file),
      signal: this.#context.signal,
    });
    for await (const entry of partition.entries) {
      if (entry.kind === 'directory') await this.#destination.makeDirectory(entry.path);
      else if (entry.kind === 'link') this.#assertTablespace(entry.path);
      else if (entry.kind === 'file') await this.#writeFile(entry, small);
    }
    await small.flush();
    await this.#puts.drain();
  }

  async close(trailer: SnapshotTrailer): Promise<WriteResult> {
    await this.#prepare();
    const controlFile = decodeTrailer(trailer);
    await this.#writeConfiguration(controlFile);
    await this.#puts.drain();
    const control = this.#record(CONTROL_FILE_PATH, {
      sizeBytes: trailer.controlFile.length,
      crc: crc32c(trailer.controlFile),
    });
    const { info } = this.#context.source;
    const { backup } = trailer;
    if (backup !== undefined) await this.#writeWhole(BACKUP_LABEL_PATH, backup.label);
    const files = [...this.#written, control];
    await this.#put(MANIFEST_PATH, encodeSnapshotManifest({ info, controlFile, backup, files }));
    await this.#destination.sync();
    await this.#put(CONTROL_FILE_PATH, trailer.controlFile);
    await this.#destination.sync();
    this.#isClosed = true;
    const objectsWritten = this.#destination.fileCount;
    await this.#destination.dispose();
    return { facts: writtenFacts(this.#context, trailer), bytesWritten: this.#bytesWritten, objectsWritten };
  }

  async abort(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#preparing?.catch(() => undefined);
    await this.#puts.settle();
    await this.#destination.remove();
    await this.#destination.dispose();
  }

  /** Root, standard directories and tablespaces, before the first entry of any partition. */
  #prepare(): Promise<void> {
    this.#preparing ??= this.#makeStandardDirectories();
    return this.#preparing;
  }

  async #makeStandardDirectories(): Promise<void> {
    for (const path of standardDirectories(this.#context.source.info.postgresMajor)) {
      await this.#destination.makeDirectory(path);
    }
    await this.#destination.makeTablespaces();
  }

  /** Links were made from the facts of the snapshot; an entry may only confirm one. */
  #assertTablespace(path: string): void {
    const { tablespaces } = this.#context.source.info;
    if (tablespaces.some(({ oid }) => path === `pg_tblspc/${oid}`)) return;
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'write link',
      message: `the snapshot has a link ${path} to a tablespace that it does not name`,
      context: { path },
    });
  }

  async #writeFile(entry: FileEntry, small: SmallFileWriter): Promise<void> {
    const { path, sizeBytes } = entry;
    const modifiedAt = entry.modifiedAt ?? this.#context.services.now();
    this.#claim(path);
    const mainPath = this.#mainForkPath(path);
    if (mainPath !== undefined) this.#claim(mainPath);
    if (sizeBytes > SMALL_FILE_SIZE_MAX_BYTES) {
      await this.#streamFile(entry, modifiedAt);
      if (mainPath !== undefined) await this.#copyFile(entry, { mainPath, modifiedAt });
      return;
    }
    const bytes = await takeWhole(entry);
    await small.add({ bytes, paths: mainPath === undefined ? [path] : [path, mainPath], modifiedAt });
  }

  async #streamFile(entry: FileEntry, modifiedAt: Date): Promise<void> {
    const { path, sizeBytes } = entry;
    const sum = new ChecksummedBody(entry);
    await this.#put(path, sum, sizeBytes);
    this.#written.push(this.#record(path, { sizeBytes, crc: sum.crc, modifiedAt }));
  }

  /** A large init fork, read back from where it was written. */
  async #copyFile(
    entry: FileEntry,
    copy: { readonly mainPath: string; readonly modifiedAt: Date },
  ): Promise<void> {
    const { storage, key } = this.#destination.placeOf(entry.path);
    const { body } = await storage.get(key, { signal: this.#context.signal });
    const { sizeBytes } = entry;
    await this.#streamFile({ kind: 'file', path: copy.mainPath, sizeBytes, body }, copy.modifiedAt);
  }

  /**
   * Where the main fork of an unlogged relation goes. A stopped cluster's start does not reset unlogged relations, so their
   * main forks have to be there; one that recovers makes them itself.
   */
  #mainForkPath(path: string): string | undefined {
    const { consistency, postgresMajor } = this.#context.source.info;
    return consistency.kind === 'consistent' ? mainForkOfInit(path, postgresMajor) : undefined;
  }

  async #put(path: string, body: PutBody, size?: number): Promise<void> {
    const sizeBytes = body instanceof Uint8Array ? body.length : (size ?? 0);
    await this.#destination.putFile(path, { body, sizeBytes, signal: this.#context.signal });
    this.#bytesWritten += sizeBytes;
  }

  #count(file: WrittenFile): void {
    this.#written.push(file);
    this.#bytesWritten += file.sizeBytes;
  }

  #record(
    path: string,
    facts: { readonly sizeBytes: number; readonly crc: number; readonly modifiedAt?: Date },
  ): WrittenFile {
    const { sizeBytes, crc, modifiedAt = this.#context.services.now() } = facts;
    return { path, sizeBytes, crc32c: crc, modifiedAt };
  }

  #claim(path: string): void {
    if (path === MANIFEST_PATH || this.#claimed.has(path)) {
      throw new FormatError({
        code: 'FORMAT_INVALID',
        operation: 'write file',
        message: `the snapshot has ${path} ${path === MANIFEST_PATH ? 'as an entry' : 'twice'}`,
        context: { path },
      });
    }
    this.#claimed.add(path);
  }

  async #writeConfiguration(controlFile: ControlFile): Promise<void> {
    for (const { path, text } of defaultConfiguration(controlFile)) {
      if (this.#claimed.has(path)) continue;
      this.#context.services.warn(`the snapshot has no ${path}; a plain one was written`);
      await this.#writeWhole(path, new TextEncoder().encode(text));
    }
  }

  async #writeWhole(path: string, bytes: Uint8Array): Promise<void> {
    this.#claim(path);
    await this.#put(path, bytes);
    this.#written.push(this.#record(path, { sizeBytes: bytes.length, crc: crc32c(bytes) }));
  }
}

/** The bytes of a small file: its only chunk, or a copy of several. */
async function takeWhole({ body, sizeBytes }: FileEntry): Promise<Uint8Array> {
  let whole: Uint8Array | undefined;
  let end = 0;
  for await (const chunk of body) {
    if (chunk.length === sizeBytes) whole = chunk;
    else {
      whole ??= new Uint8Array(sizeBytes);
      whole.set(chunk, end);
      end += chunk.length;
      releaseChunk(chunk);
    }
  }
  return whole ?? new Uint8Array(0);
}

function assertMajor(context: WriteContext): void {
  try {
    assertPostgresMajor(context.source.info.postgresMajor);
  } catch (cause) {
    throw new FormatError({
      code: 'FORMAT_UNSUPPORTED',
      operation: 'open writer',
      message: cause instanceof Error ? cause.message : `${cause}`,
      cause,
    });
  }
}
