import {
  canonicalOrder,
  checkedPartition,
  type FileEntry,
  type PartitionObserver,
  releaseChunk,
  type SnapshotReader,
} from '@neon-snapshot/format-core';
import { parseRelationPath, parseSlruPath } from '@neon-snapshot/postgres';
import { type BodyDifference, compareBodies } from './compare-bodies.ts';

/** A file that is not the same on both sides. */
export interface FileDifference {
  readonly path: string;
  readonly change: 'changed' | 'only-in-a' | 'only-in-b';
  /** Absent where the side has no such file. */
  readonly bytesA: number | undefined;
  readonly bytesB: number | undefined;
  /** The file is made of blocks: of a relation or an SLRU. */
  readonly hasBlocks: boolean;
  /** Where both sides have the file. */
  readonly body: BodyDifference | undefined;
}

export interface ComparedFiles {
  compared: number;
}

export interface CompareOptions {
  readonly onBytes: PartitionObserver['onBytes'];
  readonly signal: AbortSignal;
  /** Counts files as they are compared. */
  readonly counts: ComparedFiles;
}

/** WAL and histories say how a cluster came to where it is, not what is in it; every export makes its own. */
const NOT_COMPARED = /^pg_wal\//;

/** Magic and CRC alone: Postgres writes it at every shutdown, and where it is missing it means the same. */
const NO_ORIGINS = { path: 'pg_logical/replorigin_checkpoint', sizeBytes: 8 };

/**
 * Compares two snapshots file by file in canonical order, in memory of two pieces of 1 MiB. What only one snapshot has to have is left
 * out: WAL, and `pg_control`, which is no entry of the stream.
 */
export async function* compareSnapshots(
  a: SnapshotReader,
  b: SnapshotReader,
  options: CompareOptions,
): AsyncGenerator<FileDifference, void, undefined> {
  await using left = new FileCursor(a, options.signal, options.onBytes);
  await using right = new FileCursor(b, options.signal);
  let [own, other] = [await left.next(), await right.next()];
  while (own !== undefined || other !== undefined) {
    const order = orderOf(own, other);
    const difference = await compareFiles(order > 0 ? undefined : own, order < 0 ? undefined : other);
    options.counts.compared += 1;
    if (difference !== undefined) yield difference;
    if (order <= 0) own = await left.next();
    if (order >= 0) other = await right.next();
  }
}

function orderOf(a: FileEntry | undefined, b: FileEntry | undefined): number {
  if (a === undefined) return 1;
  return b === undefined ? -1 : canonicalOrder(a.path, b.path);
}

async function compareFiles(
  a: FileEntry | undefined,
  b: FileEntry | undefined,
): Promise<FileDifference | undefined> {
  const path = a?.path ?? b?.path ?? '';
  const isRelation = parseRelationPath(path) !== undefined;
  const facts = {
    path,
    bytesA: a?.sizeBytes,
    bytesB: b?.sizeBytes,
    hasBlocks: isRelation || parseSlruPath(path) !== undefined,
  };
  if (a !== undefined && b !== undefined) {
    const body = await compareBodies(a, b, { isRelation });
    return body === undefined ? undefined : { ...facts, change: 'changed', body };
  }
  for await (const chunk of a?.body ?? b?.body ?? []) releaseChunk(chunk);
  if (path === NO_ORIGINS.path && (a ?? b)?.sizeBytes === NO_ORIGINS.sizeBytes) return undefined;
  return { ...facts, change: a === undefined ? 'only-in-b' : 'only-in-a', body: undefined };
}

/** The files of a snapshot one by one, without those that are not compared. */
class FileCursor implements AsyncDisposable {
  readonly #entries: AsyncGenerator<FileEntry, void, undefined>;

  constructor(reader: SnapshotReader, signal: AbortSignal, onBytes?: PartitionObserver['onBytes']) {
    this.#entries = filesOf(reader, signal, onBytes);
  }

  async next(): Promise<FileEntry | undefined> {
    const { done, value } = await this.#entries.next();
    return done === true ? undefined : value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#entries.return();
  }
}

async function* filesOf(
  reader: SnapshotReader,
  signal: AbortSignal,
  onBytes?: PartitionObserver['onBytes'],
): AsyncGenerator<FileEntry, void, undefined> {
  for (const partition of reader.partitions(1)) {
    const observer = onBytes === undefined ? {} : { onBytes };
    for await (const entry of checkedPartition(partition, observer, signal).entries) {
      if (entry.kind !== 'file') continue;
      if (!NOT_COMPARED.test(entry.path)) yield entry;
      else for await (const chunk of entry.body) releaseChunk(chunk);
    }
  }
}
