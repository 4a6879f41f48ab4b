import { FrameThreads } from '@neon-snapshot/archive';
import {
  assertKnownOptions,
  decodeTrailer,
  defaultConfiguration,
  encodeSnapshotManifest,
  type FileEntry,
  FormatError,
  mainForkOfInit,
  type SnapshotPartition,
  type SnapshotTrailer,
  type SnapshotWriter,
  stringOption,
  type WriteContext,
  type WriteResult,
  type WrittenFile,
  writtenFacts,
} from '@neon-snapshot/format-core';
import type { ControlFile } from '@neon-snapshot/postgres';
import { BackupTars } from './backup-tars.ts';
import { assertDestination } from './destination-checks.ts';
import { BACKUP_LABEL_PATH, CONTROL_FILE_PATH, MANIFEST_NAME } from './layout.ts';
import { parseCompression, WRITE_OPTIONS } from './options.ts';
import { takeSmall } from './small-body.ts';
import type { SinkFile } from './tar-sink.ts';

/** Checks that the destination is empty and that the cluster is one that is known. Writes nothing. */
export async function openWriter(context: WriteContext): Promise<SnapshotWriter> {
  assertKnownOptions(context.options, WRITE_OPTIONS);
  parseCompression(stringOption(context.options, 'compression'));
  await assertDestination(context);
  return new BackupWriter(context);
}

/**
 * Writes tars as they fill, `global/pg_control` as the last file of base.tar, which is stored after the others, and
 * `backup_manifest` last.
 */
class BackupWriter implements SnapshotWriter {
  readonly partitionCountMax: number;
  readonly #context: WriteContext;
  readonly #threads: FrameThreads;
  readonly #claimed = new Set<string>();
  readonly #written: WrittenFile[] = [];
  #tars: BackupTars | undefined;
  #opening: Promise<BackupTars> | undefined;
  #isClosed = false;

  constructor(context: WriteContext) {
    this.partitionCountMax = context.concurrency;
    this.#context = context;
    this.#threads = new FrameThreads({ count: context.concurrency });
  }

  async writePartition(partition: SnapshotPartition): Promise<void> {
    const tars = await this.#open();
    for await (const entry of partition.entries) {
      if (entry.kind === 'directory') await tars.addDirectory(entry.path);
      else if (entry.kind === 'link') tars.assertLink(entry.path);
      else if (entry.kind === 'file') await this.#writeFile(entry, tars);
    }
  }

  async close(trailer: SnapshotTrailer): Promise<WriteResult> {
    const tars = await this.#open();
    const controlFile = decodeTrailer(trailer);
    await this.#writeConfiguration(controlFile, tars);
    if (trailer.backup !== undefined) {
      if (!this.#claimed.has(BACKUP_LABEL_PATH))
        await this.#writeWhole(BACKUP_LABEL_PATH, trailer.backup.label, tars);
    }
    await this.#writeWhole(CONTROL_FILE_PATH, trailer.controlFile, tars);
    const stored = await tars.end();
    const { info } = this.#context.source;
    const { backup } = trailer;
    const manifest = encodeSnapshotManifest({ info, controlFile, backup, files: this.#written });
    await this.#context.storage.put(MANIFEST_NAME, manifest, { signal: this.#context.signal });
    await this.#context.storage.fileTree?.sync({ signal: this.#context.signal });
    this.#isClosed = true;
    await this.#threads[Symbol.asyncDispose]();
    return {
      facts: writtenFacts(this.#context, trailer),
      bytesWritten: stored.reduce((sum, bytes) => sum + bytes, manifest.length),
      objectsWritten: stored.length + 1,
    };
  }

  async abort(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    await this.#tars?.abort();
    await this.#context.storage.delete([MANIFEST_NAME]);
    await this.#threads[Symbol.asyncDispose]();
  }

  /** Starts the tars with what comes before every file. */
  #open(): Promise<BackupTars> {
    this.#opening ??= this.#start();
    return this.#opening;
  }

  async #start(): Promise<BackupTars> {
    const tars = new BackupTars({
      context: this.#context,
      compression: parseCompression(stringOption(this.#context.options, 'compression')),
      threads: this.#threads,
    });
    this.#tars = tars;
    const { consistency } = this.#context.source.info;
    if (consistency.kind === 'needs-wal' && consistency.backupLabel !== undefined)
      await this.#writeWhole(BACKUP_LABEL_PATH, consistency.backupLabel, tars);
    const map = tars.tablespaceMap();
    if (map !== undefined) await this.#writeWhole(map.path, map.bytes, tars);
    await tars.addStandardDirectories();
    return tars;
  }

  async #writeFile(entry: FileEntry, tars: BackupTars): Promise<void> {
    const { path, sizeBytes } = entry;
    const modifiedAt = entry.modifiedAt ?? this.#context.services.now();
    this.#claim(path);
    const mainPath = this.#mainForkPath(path);
    if (mainPath !== undefined) {
      this.#claim(mainPath);
      const bytes = await takeSmall(entry);
      for (const at of [path, mainPath])
        await this.#store(at, { sizeBytes, modifiedAt, body: [bytes] }, tars);
      return;
    }
    const { body, crc32c } = entry;
    await this.#store(path, { sizeBytes, modifiedAt, body, crc32c }, tars);
  }

  async #store(path: string, file: Omit<SinkFile, 'name'>, tars: BackupTars): Promise<void> {
    const { sizeBytes, modifiedAt } = file;
    const crc = await tars.addFile(path, file);
    this.#written.push({ path, sizeBytes, modifiedAt, crc32c: crc });
  }

  #writeWhole(path: string, bytes: Uint8Array, tars: BackupTars): Promise<void> {
    this.#claim(path);
    const modifiedAt = this.#context.services.now();
    return this.#store(path, { sizeBytes: bytes.length, modifiedAt, body: [Uint8Array.from(bytes)] }, tars);
  }

  /** A stopped cluster's start does not reset unlogged relations, so their main forks have to be there. */
  #mainForkPath(path: string): string | undefined {
    const { consistency, postgresMajor } = this.#context.source.info;
    return consistency.kind === 'consistent' ? mainForkOfInit(path, postgresMajor) : undefined;
  }

  async #writeConfiguration(controlFile: ControlFile, tars: BackupTars): Promise<void> {
    for (const { path, text } of defaultConfiguration(controlFile)) {
      if (this.#claimed.has(path)) continue;
      this.#context.services.warn(`the snapshot has no ${path}; a plain one was written`);
      await this.#writeWhole(path, new TextEncoder().encode(text), tars);
    }
  }

  #claim(path: string): void {
    if (path !== MANIFEST_NAME && !this.#claimed.has(path)) {
      this.#claimed.add(path);
      return;
    }
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'write file',
      message: `the snapshot has ${path} ${path === MANIFEST_NAME ? 'as an entry' : 'twice'}`,
      context: { path },
    });
  }
}
