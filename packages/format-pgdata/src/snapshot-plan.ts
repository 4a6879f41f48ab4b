import { dirname } from 'node:path/posix';
import {
  FormatError,
  type SnapshotFeatures,
  sortCanonically,
  standardDirectories,
} from '@neon-snapshot/format-core';
import {
  BLCKSZ,
  type ControlFile,
  isTempRelationName,
  parseRelationPath,
  RELSEG_BLOCKS,
  type RelTag,
  tablespaceVersionDirectory,
} from '@neon-snapshot/postgres';
import {
  isExcludedPath,
  isInDatabaseDirectory,
  TABLESPACE_DIRECTORY,
  WAL_DIRECTORY,
} from './data-directory-layout.ts';
import type { SourceFile, SourceTree } from './source-tree.ts';

/** What of a data directory becomes entries, in the order of the stream. */
export interface SnapshotPlan {
  /** In canonical order. */
  readonly files: readonly SourceFile[];
  /** Parents first. */
  readonly directories: readonly string[];
  readonly bytesTotal: number;
}

export interface PlanOptions {
  readonly tree: SourceTree;
  readonly postgresMajor: number;
  /** PGDATA-relative paths of the WAL files to keep. */
  readonly walPaths: ReadonlySet<string>;
  /** Its files were copied while the server ran: a relation may have been truncated, or have grown, between two segments. */
  readonly isBackup?: boolean;
}

/**
 * Leaves out what BASE_BACKUP leaves out (temporary files and relations, all forks but `_init` of unlogged relations, contents
 * of transient directories) and all WAL but the named files. A relation that misses a segment, or a segment that is no whole
 * number of pages, is `FORMAT_TRUNCATED`; one that is longer than a segment `FORMAT_INVALID`.
 */
export function planSnapshot(options: PlanOptions): SnapshotPlan {
  const unlogged = unloggedRelations(options.tree.files);
  const kept = options.tree.files.filter((file) => isKept(file.path, options.walPaths, unlogged));
  const files = sortCanonically(kept);
  if (options.isBackup !== true) assertWholeRelations(files);
  return {
    files,
    directories: planDirectories(options, files),
    bytesTotal: files.reduce((sum, file) => sum + file.sizeBytes, 0),
  };
}

/** Names of what some formats can't hold. */
export function findFeatures(tree: SourceTree, controlFile: ControlFile): SnapshotFeatures {
  const slots = new Set<string>();
  let statistics = false;
  for (const { path } of tree.files) {
    const slot = REPLICATION_SLOT.exec(path)?.[1];
    if (slot !== undefined) slots.add(slot);
    if (STATISTICS.test(path)) statistics = true;
  }
  return {
    replicationSlots: [...slots].sort(),
    commitTimestamps: controlFile.trackCommitTimestamp,
    statistics,
  };
}

const REPLICATION_SLOT = /^pg_replslot\/([^/]+)\/state$/;
const STATISTICS = /^pg_stat\/[^/]+\.stat$/;
const SEGMENT_SIZE_BYTES = RELSEG_BLOCKS * BLCKSZ;
const INIT_FORK = 3;

function isKept(path: string, walPaths: ReadonlySet<string>, unlogged: ReadonlySet<string>): boolean {
  if (isExcludedPath(path)) return false;
  if (path.startsWith(`${WAL_DIRECTORY}/`)) return walPaths.has(path);
  if (!isInDatabaseDirectory(path)) return true;
  if (isTempRelationName(path.slice(path.lastIndexOf('/') + 1))) return false;
  const tag = parseRelationPath(path)?.tag;
  return tag === undefined || tag.forkNum === INIT_FORK || !unlogged.has(relationKey(tag));
}

function unloggedRelations(files: readonly SourceFile[]): ReadonlySet<string> {
  const unlogged = new Set<string>();
  for (const { path } of files) {
    const tag = path.includes('_init') ? parseRelationPath(path)?.tag : undefined;
    if (tag?.forkNum === INIT_FORK) unlogged.add(relationKey(tag));
  }
  return unlogged;
}

function relationKey(tag: RelTag): string {
  return `${tag.spcNode}/${tag.dbNode}/${tag.relNode}`;
}

/**
 * Each fork has segments 0 to n without a gap. One that is not full is the last with data: truncation leaves empty segments
 * behind it (md.c: inactive segments).
 */
function assertWholeRelations(files: readonly SourceFile[]): void {
  let fork = '';
  let segnoNext = 0;
  let full = true;
  for (const file of files) {
    const relation = parseRelationPath(file.path);
    if (relation === undefined) continue;
    const key = `${relationKey(relation.tag)}/${relation.tag.forkNum}`;
    if (key !== fork) {
      fork = key;
      segnoNext = 0;
      full = true;
    }
    assertSegmentSize(file);
    if (relation.segno !== segnoNext) {
      throw relationError('FORMAT_TRUNCATED', file, `is there, but segment ${segnoNext} is missing`);
    }
    if (!full && file.sizeBytes > 0) {
      throw relationError('FORMAT_TRUNCATED', file, 'has data, but the segment before it is not full');
    }
    full = file.sizeBytes === SEGMENT_SIZE_BYTES;
    segnoNext += 1;
  }
}

function assertSegmentSize(file: SourceFile): void {
  if (file.sizeBytes % BLCKSZ !== 0) {
    const what = `has ${file.sizeBytes} bytes, which is no whole number of pages of ${BLCKSZ}`;
    throw relationError('FORMAT_TRUNCATED', file, what);
  }
  if (file.sizeBytes > SEGMENT_SIZE_BYTES) {
    const what = `has ${file.sizeBytes} bytes, more than a segment's ${SEGMENT_SIZE_BYTES}`;
    throw relationError('FORMAT_INVALID', file, what);
  }
}

function relationError(
  code: 'FORMAT_TRUNCATED' | 'FORMAT_INVALID',
  file: SourceFile,
  what: string,
): FormatError {
  return new FormatError({
    code,
    operation: 'plan snapshot',
    message: `relation file ${file.path} ${what}; the data directory is incomplete or damaged`,
    context: { path: file.path, sizeBytes: file.sizeBytes },
  });
}

function planDirectories(options: PlanOptions, files: readonly SourceFile[]): string[] {
  const { tree, postgresMajor } = options;
  const directories = new Set(standardDirectories(postgresMajor));
  for (const { oid, location } of tree.tablespaces) {
    const path = `${TABLESPACE_DIRECTORY}/${oid}`;
    // Of a linked tablespace the root is the link's target, which is no directory of this tree.
    if (location === path) directories.add(path);
    directories.add(`${path}/${tablespaceVersionDirectory(postgresMajor)}`);
  }
  const linked = new Set(
    tree.tablespaces
      .map(({ oid }) => `${TABLESPACE_DIRECTORY}/${oid}`)
      .filter((path) => !directories.has(path)),
  );
  const add = (path: string) => {
    for (let at = path; at !== '.' && !directories.has(at) && !linked.has(at); at = dirname(at)) {
      directories.add(at);
    }
  };
  for (const { path } of files) add(dirname(path));
  for (const path of tree.directories) {
    if (!isExcludedPath(path) && !path.startsWith(`${WAL_DIRECTORY}/`)) add(path);
  }
  return [...directories].sort();
}
