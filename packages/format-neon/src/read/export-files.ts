/** The files of an exported cluster, in canonical order. */
import { FormatError, type PlannedFile, sortCanonically } from '@neon-snapshot/format-core';
import type { RelationFork, TimelineContents } from '@neon-snapshot/neon-timeline';
import {
  BLCKSZ,
  DEFAULT_TABLESPACE_OID,
  encodeTwoPhaseFile,
  formatRelationPath,
  formatSlruPath,
  formatTwoPhasePath,
  GLOBAL_TABLESPACE_OID,
  RELSEG_BLOCKS,
  type RelTag,
  type SlruKind,
} from '@neon-snapshot/postgres';

/** A segment of a relation fork; its pages come from the layers when it is written. */
export interface RelationSegment extends PlannedFile {
  readonly kind: 'relation';
  readonly tag: RelTag;
  readonly firstBlock: number;
  readonly blocks: number;
  /** Pages that are not exported lie before it: it begins a new range of keys to read. */
  readonly followsGap: boolean;
}

export interface SlruSegment extends PlannedFile {
  readonly kind: 'slru';
  readonly slru: SlruKind;
  readonly segno: number;
  readonly blocks: number;
}

/** A small file whose bytes are known. */
export interface KnownFile extends PlannedFile {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

export type ExportFile = RelationSegment | SlruSegment | KnownFile;

/** Forks of a relation that has an init fork are reset by a start: only that fork is exported. */
const INIT_FORK = 3;

export interface ExportFilesSource {
  readonly contents: TimelineContents;
  readonly postgresMajor: number;
  /** Configuration, WAL and other files that are not in the layers. */
  readonly otherFiles: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

/** Throws `FORMAT_UNSUPPORTED` for relations outside `pg_default` and `pg_global`. */
export function planExportFiles({ contents, postgresMajor, otherFiles }: ExportFilesSource): ExportFile[] {
  const version = new TextEncoder().encode(`${postgresMajor}\n`);
  const files: ExportFile[] = [knownFile('PG_VERSION', version)];
  for (const { spcNode, dbNode, relationMap, forks } of contents.databases) {
    if (relationMap === undefined && forks.length === 0) continue;
    const directory = databaseDirectory(spcNode, dbNode);
    if (relationMap !== undefined) files.push(knownFile(`${directory}/pg_filenode.map`, relationMap));
    if (spcNode === DEFAULT_TABLESPACE_OID) files.push(knownFile(`${directory}/PG_VERSION`, version));
    files.push(...databaseSegments(forks));
  }
  for (const { slru, segno, blockCount: blocks } of contents.slruSegments) {
    const path = formatSlruPath(slru, segno);
    files.push({ kind: 'slru', path, sizeBytes: blocks * BLCKSZ, slru, segno, blocks });
  }
  for (const { xid, state } of contents.preparedTransactions) {
    files.push(knownFile(formatTwoPhasePath(xid, postgresMajor), encodeTwoPhaseFile(state)));
  }
  for (const { path, bytes } of otherFiles) files.push(knownFile(path, bytes));
  return sortCanonically(files);
}

function databaseSegments(forks: readonly RelationFork[]): RelationSegment[] {
  const unlogged = new Set(
    forks.filter(({ tag }) => tag.forkNum === INIT_FORK).map(({ tag }) => tag.relNode),
  );
  const segments: RelationSegment[] = [];
  let followsGap = true;
  for (const fork of forks) {
    const isExported = fork.tag.forkNum === INIT_FORK || !unlogged.has(fork.tag.relNode);
    if (isExported) segments.push(...relationSegments(fork, followsGap));
    followsGap = !isExported;
  }
  return segments;
}

function relationSegments({ tag, blockCount: blocks }: RelationFork, followsGap: boolean): RelationSegment[] {
  const segments: RelationSegment[] = [];
  let firstBlock = 0;
  do {
    const segmentBlocks = Math.min(RELSEG_BLOCKS, blocks - firstBlock);
    segments.push({
      kind: 'relation',
      path: formatRelationPath(tag, firstBlock / RELSEG_BLOCKS),
      sizeBytes: segmentBlocks * BLCKSZ,
      tag,
      firstBlock,
      blocks: segmentBlocks,
      followsGap: followsGap && firstBlock === 0,
    });
    firstBlock += RELSEG_BLOCKS;
  } while (firstBlock < blocks);
  return segments;
}

function databaseDirectory(spcNode: number, dbNode: number): string {
  if (spcNode === DEFAULT_TABLESPACE_OID) return `base/${dbNode}`;
  if (spcNode === GLOBAL_TABLESPACE_OID && dbNode === 0) return 'global';
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'plan export',
    message: `The timeline has database ${dbNode} in tablespace ${spcNode}; only pg_default and pg_global can be exported`,
    context: { spcNode, dbNode },
  });
}

function knownFile(path: string, bytes: Uint8Array): KnownFile {
  return { kind: 'bytes', path, sizeBytes: bytes.length, bytes };
}
