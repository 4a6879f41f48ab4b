/** The files of a plan, sorted by what they become in a timeline and in key order. */
import { FormatError, type PlannedFile } from '@neon-snapshot/format-core';
import { SLRU_KINDS } from '@neon-snapshot/neon-layer';
import {
  BLCKSZ,
  compareRelTags,
  DEFAULT_TABLESPACE_OID,
  GLOBAL_TABLESPACE_OID,
  RELSEG_BLOCKS,
  type RelTag,
  SLRU_PAGES_PER_SEGMENT,
  type SlruKind,
} from '@neon-snapshot/postgres';
import { type ClusterFile, classifyClusterFile, type UnheldKind } from './cluster-file.ts';

/** Statistics are kept up to this total, prepared transactions likewise; they are held in memory until the end. */
export const KEPT_BYTES_MAX = 16 * 1024 * 1024;

export interface PlannedSegment {
  readonly path: string;
  readonly segno: number;
  readonly sizeBytes: number;
}

/** One fork of a relation with the segments that Postgres would read. */
export interface PlannedFork {
  readonly tag: RelTag;
  readonly blocks: number;
  readonly segments: readonly PlannedSegment[];
}

export interface PlannedDatabase {
  readonly spcNode: number;
  readonly dbNode: number;
  readonly relationMapPath: string | undefined;
  /** In key order. */
  readonly forks: readonly PlannedFork[];
}

export interface PlannedSlruSegment extends PlannedSegment {
  readonly slru: SlruKind;
}

export interface PlannedTwoPhaseFile {
  readonly path: string;
  readonly xid: bigint;
  readonly sizeBytes: number;
}

export type KeptFile = 'configuration' | 'statistics' | 'replication-origins' | 'timeline-history';

export interface PlannedCluster {
  /** By tablespace and database. */
  readonly databases: readonly PlannedDatabase[];
  /** By kind and number. */
  readonly slruSegments: readonly PlannedSlruSegment[];
  /** By transaction id. */
  readonly twoPhaseFiles: readonly PlannedTwoPhaseFile[];
  readonly keptFiles: ReadonlyMap<string, KeptFile>;
  /** What the format can't hold, by what it is, with the paths. */
  readonly unheld: ReadonlyMap<UnheldKind, readonly string[]>;
}

/** Throws `FORMAT_INVALID` or `FORMAT_UNSUPPORTED` before anything is written. */
export function sortPlannedCluster(
  files: readonly PlannedFile[],
  options: { readonly isBackup: boolean } = { isBackup: false },
): PlannedCluster {
  const sorter = new ClusterSorter(options);
  for (const file of files) sorter.add(file, classifyClusterFile(file.path));
  return sorter.finish();
}

interface OpenDatabase {
  readonly spcNode: number;
  readonly dbNode: number;
  relationMapPath: string | undefined;
  readonly segments: { readonly tag: RelTag; readonly segment: PlannedSegment }[];
}

class ClusterSorter {
  readonly #databases = new Map<string, OpenDatabase>();
  readonly #slru: PlannedSlruSegment[] = [];
  readonly #twoPhase: PlannedTwoPhaseFile[] = [];
  readonly #kept = new Map<string, KeptFile>();
  readonly #unheld = new Map<UnheldKind, string[]>();
  readonly #isBackup: boolean;
  #keptBytes = 0;

  constructor({ isBackup }: { readonly isBackup: boolean }) {
    this.#isBackup = isBackup;
  }

  add({ path, sizeBytes }: PlannedFile, file: ClusterFile): void {
    switch (file.kind) {
      case 'relation':
        assertWholeBlocks(path, sizeBytes);
        assertTablespace(path, file.tag);
        this.#database(file.tag).segments.push({
          tag: file.tag,
          segment: { path, segno: file.segno, sizeBytes },
        });
        return;
      case 'relation-map':
        this.#database(file).relationMapPath = path;
        return;
      case 'slru':
        assertWholeBlocks(path, sizeBytes);
        assertSlruSize(path, sizeBytes);
        this.#slru.push({ path, slru: file.slru, segno: file.segno, sizeBytes });
        return;
      case 'two-phase':
        this.#twoPhase.push({ path, xid: file.xid, sizeBytes });
        return;
      case 'unheld':
        this.#addUnheld(file.what, path);
        return;
      case 'statistics':
        this.#addStatistics(path, sizeBytes);
        return;
      case 'configuration':
      case 'replication-origins':
      case 'timeline-history':
        this.#kept.set(path, file.kind);
        return;
      case 'regenerated':
        return;
    }
  }

  finish(): PlannedCluster {
    const shared = this.#database({ spcNode: GLOBAL_TABLESPACE_OID, dbNode: 0 });
    if (shared.relationMapPath === undefined) throw missing('global/pg_filenode.map');
    if (!this.#slru.some(({ slru }) => slru === 'clog')) throw missing('pg_xact/…');
    assertTwoPhaseTotal(this.#twoPhase);
    return {
      databases: [...this.#databases.values()]
        .sort(bySpcAndDb)
        .map((database) => closeDatabase(database, this.#isBackup)),
      slruSegments: this.#slru.sort(
        (a, b) => SLRU_KINDS.indexOf(a.slru) - SLRU_KINDS.indexOf(b.slru) || a.segno - b.segno,
      ),
      twoPhaseFiles: this.#twoPhase.sort((a, b) => (a.xid < b.xid ? -1 : 1)),
      keptFiles: this.#kept,
      unheld: this.#unheld,
    };
  }

  #database({ spcNode, dbNode }: { readonly spcNode: number; readonly dbNode: number }): OpenDatabase {
    const id = `${spcNode}/${dbNode}`;
    const existing = this.#databases.get(id);
    if (existing !== undefined) return existing;
    const database: OpenDatabase = { spcNode, dbNode, relationMapPath: undefined, segments: [] };
    this.#databases.set(id, database);
    return database;
  }

  #addStatistics(path: string, sizeBytes: number): void {
    this.#keptBytes += sizeBytes;
    if (this.#keptBytes > KEPT_BYTES_MAX) this.#addUnheld('statistics', path);
    else this.#kept.set(path, 'statistics');
  }

  #addUnheld(what: UnheldKind, path: string): void {
    const paths = this.#unheld.get(what);
    if (paths === undefined) this.#unheld.set(what, [path]);
    else paths.push(path);
  }
}

/** Groups segments into forks; forks of an unlogged relation other than its init fork are left out, as they are reset. */
function closeDatabase(
  { spcNode, dbNode, relationMapPath, segments }: OpenDatabase,
  isBackup: boolean,
): PlannedDatabase {
  const unlogged = new Set(segments.filter(({ tag }) => tag.forkNum === 3).map(({ tag }) => tag.relNode));
  const kept = segments.filter(({ tag }) => tag.forkNum === 3 || !unlogged.has(tag.relNode));
  kept.sort((a, b) => compareRelTags(a.tag, b.tag) || a.segment.segno - b.segment.segno);
  const forks: PlannedFork[] = [];
  for (let start = 0; start < kept.length; ) {
    const tag = kept[start]?.tag;
    if (tag === undefined) break;
    let end = start + 1;
    while (end < kept.length && isSameFork(kept[end]?.tag, tag)) end += 1;
    const all = kept.slice(start, end).map(({ segment }) => segment);
    const fork = closeFork(tag, all, isBackup);
    if (fork.segments.length > 0) forks.push(fork);
    start = end;
  }
  return { spcNode, dbNode, relationMapPath, forks };
}

function isSameFork(a: RelTag | undefined, b: RelTag): boolean {
  return a !== undefined && compareRelTags(a, b) === 0;
}

/**
 * A relation ends with its first segment below 1 GiB (`mdnblocks` of md.c). Truncation leaves empty segments behind it;
 * one that still has blocks is damage, or in a backup was copied before a truncation or after growth: then its WAL brings the pages.
 */
function closeFork(tag: RelTag, all: readonly PlannedSegment[], isBackup: boolean): PlannedFork {
  const segmentBytes = RELSEG_BLOCKS * BLCKSZ;
  const segments: PlannedSegment[] = [];
  let isOpen = true;
  for (const [index, segment] of all.entries()) {
    if (isOpen && segment.segno === index && (index === 0 || segment.sizeBytes > 0)) {
      segments.push(segment);
      isOpen = segment.sizeBytes === segmentBytes;
      continue;
    }
    isOpen = false;
    if (isBackup || (segment.sizeBytes === 0 && segments.length > 0)) continue;
    throw invalidPlan(
      `${segment.path} follows a segment that is missing or shorter than 1 GiB; the cluster is damaged`,
      {
        path: segment.path,
        sizeBytes: segment.sizeBytes,
      },
    );
  }
  const blocks = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes / BLCKSZ, 0);
  return { tag, blocks, segments };
}

function bySpcAndDb(a: OpenDatabase, b: OpenDatabase): number {
  return a.spcNode - b.spcNode || a.dbNode - b.dbNode;
}

function assertWholeBlocks(path: string, sizeBytes: number): void {
  if (sizeBytes % BLCKSZ === 0) return;
  throw invalidPlan(`${path} has ${sizeBytes} bytes; expected a multiple of ${BLCKSZ}`, { path, sizeBytes });
}

function assertSlruSize(path: string, sizeBytes: number): void {
  if (sizeBytes <= SLRU_PAGES_PER_SEGMENT * BLCKSZ) return;
  throw invalidPlan(`${path} has ${sizeBytes} bytes; expected at most ${SLRU_PAGES_PER_SEGMENT} pages`, {
    path,
    sizeBytes,
  });
}

function assertTablespace(path: string, tag: RelTag): void {
  if (tag.spcNode === DEFAULT_TABLESPACE_OID || tag.spcNode === GLOBAL_TABLESPACE_OID) return;
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'plan keys',
    message: `${path} lies in a user tablespace, which Neon's format can't hold; move its relations to pg_default first`,
    context: { path, tablespace: tag.spcNode },
  });
}

function assertTwoPhaseTotal(files: readonly PlannedTwoPhaseFile[]): void {
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  if (sizeBytes <= KEPT_BYTES_MAX) return;
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'plan keys',
    message: `pg_twophase has ${sizeBytes} bytes; at most ${KEPT_BYTES_MAX} are imported: commit or roll back prepared transactions first`,
    context: { sizeBytes },
  });
}

function missing(path: string): FormatError {
  return invalidPlan(`The snapshot has no ${path}; it is not a whole cluster`, { path });
}

function invalidPlan(message: string, context: Readonly<Record<string, string | number>>): FormatError {
  return new FormatError({ code: 'FORMAT_INVALID', operation: 'plan keys', message, context });
}
