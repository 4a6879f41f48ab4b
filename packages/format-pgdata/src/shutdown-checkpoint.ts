import { FormatError, fileFault } from '@neon-snapshot/format-core';
import {
  type CheckpointRecord,
  formatLsn,
  type Lsn,
  readCheckpointRecord,
  WAL_PAGE_SIZE,
  walSegmentFileName,
  walSegmentNumber,
  walSegmentStart,
} from '@neon-snapshot/postgres';
import { readAll } from '@neon-snapshot/storage-core';
import type { ClusterControl } from './cluster-control.ts';
import { WAL_DIRECTORY } from './data-directory-layout.ts';
import type { SourceFile, SourceTree } from './source-tree.ts';

/** Where a cleanly stopped cluster ends, and the WAL files that a start needs. */
export interface ShutdownCheckpointPlace {
  readonly recordStart: Lsn;
  readonly recordEnd: Lsn;
  /** PGDATA-relative: the segments with the record and the timeline histories. */
  readonly walPaths: ReadonlySet<string>;
}

/** A checkpoint record has 114 bytes: it lies on two pages at most. */
const RECORD_PAGE_COUNT_MAX = 2;
const HISTORY = /^pg_wal\/[0-9A-F]{8}\.history$/;

/**
 * Finds the shutdown checkpoint that pg_control names. A missing or short segment is `FORMAT_TRUNCATED`; another record in its
 * place, or one that differs from pg_control, `FORMAT_INVALID`.
 */
export async function findShutdownCheckpoint(options: {
  readonly tree: SourceTree;
  readonly control: ClusterControl;
  readonly url: string;
  readonly signal?: AbortSignal | undefined;
}): Promise<ShutdownCheckpointPlace> {
  const { control, tree } = options;
  const { checkPoint, checkPointCopy, walSegmentSizeBytes } = control.controlFile;
  const wal = new Map(tree.files.filter(isWal).map((file) => [file.path, file]));
  const segmentAt = (segno: number): SourceFile => {
    const name = walSegmentFileName(checkPointCopy.thisTimeLineId, segno, walSegmentSizeBytes);
    return assertSegment(wal.get(`${WAL_DIRECTORY}/${name}`), { name, checkPoint, walSegmentSizeBytes });
  };
  const segno = walSegmentNumber(checkPoint, walSegmentSizeBytes);
  const segmentStart = walSegmentStart(segno, walSegmentSizeBytes);
  const segment = segmentAt(segno);
  const used = [segment];
  const offset = Number(checkPoint - segmentStart);
  const crosses = offset + WAL_PAGE_SIZE > walSegmentSizeBytes && wal.has(pathAfter(control, segno));
  if (crosses) used.push(segmentAt(segno + 1));
  const record = readRecord({
    control,
    segmentStart,
    url: options.url,
    path: segment.path,
    segment: await readPages(segment, offset, options.signal),
    ...(used[1] === undefined ? {} : { nextSegment: await readPages(used[1], 0, options.signal) }),
  });
  const needsNext = record.recordEnd > segmentStart + BigInt(walSegmentSizeBytes);
  const kept = needsNext ? used : [segment];
  const histories = [...wal.keys()].filter((path) => HISTORY.test(path));
  const { recordStart, recordEnd } = record;
  return { recordStart, recordEnd, walPaths: new Set([...kept.map((file) => file.path), ...histories]) };
}

function isWal(file: SourceFile): boolean {
  return file.path.startsWith(`${WAL_DIRECTORY}/`);
}

function pathAfter(control: ClusterControl, segno: number): string {
  const { checkPointCopy, walSegmentSizeBytes } = control.controlFile;
  const name = walSegmentFileName(checkPointCopy.thisTimeLineId, segno + 1, walSegmentSizeBytes);
  return `${WAL_DIRECTORY}/${name}`;
}

function assertSegment(
  file: SourceFile | undefined,
  expected: { readonly name: string; readonly checkPoint: Lsn; readonly walSegmentSizeBytes: number },
): SourceFile {
  if (file?.sizeBytes === expected.walSegmentSizeBytes) return file;
  const found =
    file === undefined
      ? 'is missing'
      : `has ${file.sizeBytes} bytes, expected ${expected.walSegmentSizeBytes}`;
  throw new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read shutdown checkpoint',
    message: `pg_control names a checkpoint at ${formatLsn(expected.checkPoint)}, but the WAL segment with it, ${WAL_DIRECTORY}/${expected.name}, ${found}; copy ${WAL_DIRECTORY} whole`,
    context: { path: `${WAL_DIRECTORY}/${expected.name}` },
  });
}

/** A segment of which only the first page and the pages of the record were read; the rest is zeros that take no memory. */
async function readPages(
  file: SourceFile,
  recordOffset: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const segment = new Uint8Array(file.sizeBytes);
  const pageOffset = recordOffset - (recordOffset % WAL_PAGE_SIZE);
  for (const offset of new Set([0, pageOffset])) {
    const length = Math.min(RECORD_PAGE_COUNT_MAX * WAL_PAGE_SIZE, file.sizeBytes - offset);
    const { body } = await file.storage.get(file.key, { range: { offset, length }, signal });
    segment.set(await readAll(body, { sizeMaxBytes: length, key: file.path }), offset);
  }
  return segment;
}

function readRecord(options: {
  readonly control: ClusterControl;
  readonly segment: Uint8Array;
  readonly nextSegment?: Uint8Array;
  readonly segmentStart: Lsn;
  readonly path: string;
  readonly url: string;
}): CheckpointRecord {
  const { control, segment, nextSegment, segmentStart, path, url } = options;
  const { checkPoint: position, checkPointCopy } = control.controlFile;
  let record: CheckpointRecord;
  try {
    record = readCheckpointRecord({
      segment,
      segmentStart,
      lsn: position,
      major: control.postgresMajor,
      ...(nextSegment === undefined ? {} : { nextSegment }),
    });
  } catch (error) {
    throw fileFault(error, { path, url });
  }
  const isSame =
    record.checkPoint.redo === checkPointCopy.redo &&
    record.checkPoint.thisTimeLineId === checkPointCopy.thisTimeLineId &&
    record.checkPoint.nextXid === checkPointCopy.nextXid;
  if (record.isShutdown && isSame) return record;
  throw new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read shutdown checkpoint',
    message: `${path} in ${url} has at ${formatLsn(position)} ${record.isShutdown ? 'a checkpoint that differs from pg_control' : 'no shutdown checkpoint'}; the data directory and its WAL do not belong together`,
    context: { path },
  });
}
