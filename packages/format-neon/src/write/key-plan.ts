/**
 * Where every value of a snapshot goes, decided from names and sizes before the first byte is read.
 *
 * The timeline's keys fall into alternating runs: values that are known from the plan or small enough to be held in
 * memory until the end (directories, relation maps, transaction status, the control file), and files that are streamed.
 * Every element owns the keys from its own start to the start of the next one, so that image layers built in any order
 * cover the whole keyspace without gap or overlap.
 */
import type { PlannedFile } from '@neon-snapshot/format-core';
import {
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  DBDIR_KEY,
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSizeValue,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  KEY_MAX,
  relBlockKey,
  relDirKey,
  relMapKey,
  relSizeKey,
  SLRU_KINDS,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from '@neon-snapshot/neon-layer';
import { BLCKSZ, RELSEG_BLOCKS, type RelTag, type SlruKind } from '@neon-snapshot/postgres';
import { type PlannedCluster, type PlannedDatabase, sortPlannedCluster } from './planned-cluster.ts';

/** Transaction status and prepared transactions are held in memory up to this total; beyond, they are streamed too. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** Which pages a streamed file holds. */
export type PageSource =
  | { readonly kind: 'relation'; readonly tag: RelTag; readonly segno: number }
  | { readonly kind: 'slru'; readonly slru: SlruKind; readonly segno: number };

/** A file whose pages go straight into image layers. */
export interface StreamedFile {
  readonly kind: 'streamed';
  readonly path: string;
  readonly pages: PageSource;
  readonly blocks: number;
  /** Of the last segment: blocks of all segments together, which is the value that follows its pages. */
  readonly blocksTotal: number | undefined;
  /** The element with the next greater keys. */
  next: KeyElement | undefined;
}

export interface KnownValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One value, or the values of one file, of a held layer. */
export type HeldValue =
  | ({ readonly kind: 'known' } & KnownValue)
  | {
      readonly kind: 'file';
      readonly key: Uint8Array;
      readonly path: string;
      readonly form: 'raw' | 'two-phase';
    }
  | { readonly kind: 'slru'; readonly slru: SlruKind; readonly segno: number; readonly path: string }
  | { readonly kind: 'control-file'; readonly key: Uint8Array }
  | { readonly kind: 'checkpoint'; readonly key: Uint8Array }
  /** Replication origins and aux files: sparse keys, known only from file contents. */
  | { readonly kind: 'sparse'; readonly key: Uint8Array };

/** A run of values that becomes one image layer at the end. */
export interface HeldRun {
  readonly kind: 'held';
  readonly values: HeldValue[];
  next: KeyElement | undefined;
}

export type KeyElement = StreamedFile | HeldRun;

export interface KeyPlan {
  /** In key order; the first starts at the smallest key, whatever its first value is. */
  readonly elements: readonly KeyElement[];
  readonly streamed: ReadonlyMap<string, StreamedFile>;
  /** Paths of the files that are to be kept until the end. */
  readonly held: ReadonlySet<string>;
  readonly databaseCount: number;
  readonly preparedXids: readonly bigint[];
  readonly keptFiles: PlannedCluster['keptFiles'];
  readonly unheld: PlannedCluster['unheld'];
}

export interface KeyPlanOptions {
  readonly files: readonly PlannedFile[];
  readonly postgresMajor: number;
  /** The files were copied while their server ran. */
  readonly isBackup?: boolean;
}

/** Throws `FORMAT_INVALID` for a plan that is no cluster and `FORMAT_UNSUPPORTED` for user tablespaces. */
export function planKeys({ files, postgresMajor, isBackup = false }: KeyPlanOptions): KeyPlan {
  const cluster = sortPlannedCluster(files, { isBackup });
  const builder = new KeyPlanBuilder();
  builder.known(DBDIR_KEY, encodeDbDirectory(cluster.databases.map(toDbDirectoryEntry)));
  for (const database of cluster.databases) addDatabase(builder, database);
  addTransactions(builder, { cluster, postgresMajor });
  builder.hold({ kind: 'control-file', key: CONTROL_FILE_KEY });
  builder.hold({ kind: 'checkpoint', key: CHECKPOINT_KEY });
  builder.hold({ kind: 'sparse', key: KEY_MAX });
  return builder.finish(cluster);
}

/** First key that an element owns. */
export function elementStart(element: KeyElement): Uint8Array {
  if (element.kind === 'streamed') return blockKeyOf(element.pages, 0);
  const first = element.values[0];
  if (first === undefined) throw new Error('a held run has at least one value');
  return first.kind === 'slru' ? slruBlockKey(first.slru, first.segno, 0) : first.key;
}

/** First key after an element's own: the next element's, or the end of the keyspace. */
export function elementEnd(element: KeyElement): Uint8Array {
  return element.next === undefined ? KEY_MAX : elementStart(element.next);
}

/** Key of one block of a streamed file, counted from the file's start. */
export function blockKeyOf(pages: PageSource, blockInFile: number): Uint8Array {
  return pages.kind === 'relation'
    ? relBlockKey(pages.tag, pages.segno * RELSEG_BLOCKS + blockInFile)
    : slruBlockKey(pages.slru, pages.segno, blockInFile);
}

/** The value that follows the pages of a file: the size of its relation fork or segment; none before the last segment. */
export function sizeValueOf({ pages, blocksTotal }: StreamedFile): KnownValue | undefined {
  if (blocksTotal === undefined) return undefined;
  const key = pages.kind === 'relation' ? relSizeKey(pages.tag) : slruSizeKey(pages.slru, pages.segno);
  return { key, value: encodeSizeValue(blocksTotal) };
}

function toDbDirectoryEntry({ spcNode, dbNode, relationMapPath }: PlannedDatabase) {
  return { spcNode, dbNode, hasRelationMap: relationMapPath !== undefined };
}

function addDatabase(builder: KeyPlanBuilder, database: PlannedDatabase): void {
  const { spcNode, dbNode, relationMapPath: path } = database;
  if (path !== undefined) builder.hold({ kind: 'file', key: relMapKey(spcNode, dbNode), path, form: 'raw' });
  builder.known(relDirKey(spcNode, dbNode), encodeRelDirectory(database.forks.map(({ tag }) => tag)));
  for (const fork of database.forks) {
    fork.segments.forEach((segment, index) => {
      const isLast = index === fork.segments.length - 1;
      builder.stream({
        path: segment.path,
        pages: { kind: 'relation', tag: fork.tag, segno: segment.segno },
        blocks: segment.sizeBytes / BLCKSZ,
        blocksTotal: isLast ? fork.blocks : undefined,
      });
    });
  }
}

function addTransactions(
  builder: KeyPlanBuilder,
  { cluster, postgresMajor }: { readonly cluster: PlannedCluster; readonly postgresMajor: number },
): void {
  const files = [...cluster.slruSegments, ...cluster.twoPhaseFiles];
  const streamsSlru = files.reduce((sum, file) => sum + file.sizeBytes, 0) > HELD_BYTES_MAX;
  for (const slru of SLRU_KINDS) {
    const segments = cluster.slruSegments.filter((segment) => segment.slru === slru);
    builder.known(slruDirKey(slru), encodeSlruSegmentDirectory(segments.map(({ segno }) => segno)));
    for (const { path, segno, sizeBytes } of segments) {
      if (!streamsSlru) {
        builder.hold({ kind: 'slru', slru, segno, path });
        builder.known(slruSizeKey(slru, segno), encodeSizeValue(sizeBytes / BLCKSZ));
        continue;
      }
      builder.stream({
        path,
        pages: { kind: 'slru', slru, segno },
        blocks: sizeBytes / BLCKSZ,
        blocksTotal: sizeBytes / BLCKSZ,
      });
    }
  }
  const xids = cluster.twoPhaseFiles.map(({ xid }) => xid);
  builder.known(TWO_PHASE_DIRECTORY_KEY, encodeTwoPhaseDirectory(xids, postgresMajor));
  for (const { path, xid } of cluster.twoPhaseFiles) {
    builder.hold({ kind: 'file', key: twoPhaseFileKey(xid), path, form: 'two-phase' });
  }
}

/** Appends elements in key order and links them. */
class KeyPlanBuilder {
  readonly #elements: KeyElement[] = [];
  readonly #streamed = new Map<string, StreamedFile>();
  readonly #held = new Set<string>();

  known(key: Uint8Array, value: Uint8Array): void {
    this.hold({ kind: 'known', key, value });
  }

  hold(value: HeldValue): void {
    if ('path' in value) this.#held.add(value.path);
    const last = this.#elements.at(-1);
    if (last?.kind === 'held') last.values.push(value);
    else this.#append({ kind: 'held', values: [value], next: undefined });
  }

  stream(file: Omit<StreamedFile, 'kind' | 'next'>): void {
    const element: StreamedFile = { kind: 'streamed', ...file, next: undefined };
    this.#streamed.set(file.path, element);
    this.#append(element);
  }

  finish(cluster: PlannedCluster): KeyPlan {
    for (const path of cluster.keptFiles.keys()) this.#held.add(path);
    // Not the cluster itself: with many relations its segments would double what the plan takes.
    return {
      elements: this.#elements,
      streamed: this.#streamed,
      held: this.#held,
      databaseCount: cluster.databases.filter(({ dbNode }) => dbNode !== 0).length,
      preparedXids: cluster.twoPhaseFiles.map(({ xid }) => xid),
      keptFiles: cluster.keptFiles,
      unheld: cluster.unheld,
    };
  }

  #append(element: KeyElement): void {
    const last = this.#elements.at(-1);
    if (last !== undefined) last.next = element;
    this.#elements.push(element);
  }
}
