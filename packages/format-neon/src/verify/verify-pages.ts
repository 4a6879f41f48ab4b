import {
  isFormatError,
  PageCheck,
  type ProgressListener,
  type VerifyCollector,
} from '@neon-snapshot/format-core';
import {
  KEY_MIN,
  type KeyValue,
  parseKey,
  relBlockKey,
  SPARSE_KEYS_START,
  type StoredLayer,
  slruBlockKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import { readTimelineContents, type TimelineContents } from '@neon-snapshot/neon-timeline';
import {
  BLCKSZ,
  decodeCheckPoint,
  decodeControlFile,
  decodePageHeader,
  decodeRelationMap,
  formatRelationPath,
  formatSlruPath,
  isPostgresFormatError,
  RELSEG_BLOCKS,
  type RelTag,
  lsn as toLsn,
} from '@neon-snapshot/postgres';
import { translating } from '../layer-faults.ts';
import type { CountedRedo } from './counted-redo.ts';
import { ExpectedBlocks, type ExpectedRun } from './expected-blocks.ts';
import { withoutNeonFlag } from './neon-page-flag.ts';
import { scanAroundDamage } from './scan-around-damage.ts';

export interface VerifyPagesOptions {
  /** What the view makes values with. */
  readonly redo: CountedRedo;
  readonly postgresMajor: number;
  readonly collector: VerifyCollector;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CHECK_POINT_BYTES = 88;

interface PageRun extends ExpectedRun {
  /** Absent for an SLRU segment. */
  readonly tag?: RelTag;
  readonly path: string;
}

/** Reads every value of a timeline at the view's LSN, by redo where it has to be made, and judges what is a page. */
export async function verifyPages(view: TimelineReader, options: VerifyPagesOptions): Promise<void> {
  const { collector, postgresMajor, signal } = options;
  for (const name of ['keys', 'pages', 'slruPages', 'stalePages']) collector.count(name, 0);
  const contents = await readContents(view, options);
  if (contents === undefined) return;
  verifyContents(contents, { collector, postgresMajor });
  const check = new ValueCheck({ view, contents, collector, redo: options.redo });
  const bytesTotal = contents.databases
    .flatMap(({ forks }) => forks)
    .reduce((sum, { blockCount }) => sum + blockCount * BLCKSZ, 0);
  let bytesDone = 0;
  let isCut = false;
  const values = scanAroundDamage(
    view,
    { start: KEY_MIN, end: SPARSE_KEYS_START },
    {
      signal,
      onDamage: (error, key) => {
        if (key === undefined) isCut = true;
        else check.pass(key);
        const rest = key === undefined ? '; what comes behind it was not looked at' : '';
        collector.error({ code: 'VALUE_UNREADABLE', message: `${error.message} [${error.code}]${rest}` });
      },
    },
  );
  for await (const value of values) {
    check.verify(value);
    bytesDone += value.value.length;
    options.onProgress?.({ phase: 'copy', bytesDone, bytesTotal, filesDone: 0 });
  }
  if (!isCut) check.finish();
}

/** Directories and sizes; without them nothing more can be said. */
async function readContents(
  view: TimelineReader,
  { collector, signal }: VerifyPagesOptions,
): Promise<TimelineContents | undefined> {
  try {
    return await translating(() => readTimelineContents(view, { signal }));
  } catch (error) {
    if (!isFormatError(error)) throw error;
    collector.error({
      code: 'CONTENTS_INVALID',
      message: `timeline ${view.source.timelineId}: ${error.message} [${error.code}]`,
    });
    return undefined;
  }
}

function verifyContents(
  contents: TimelineContents,
  { collector, postgresMajor }: Pick<VerifyPagesOptions, 'collector' | 'postgresMajor'>,
): void {
  const judge = (path: string, decode: () => unknown) => {
    try {
      decode();
    } catch (error) {
      if (!isPostgresFormatError(error)) throw error;
      collector.error({ code: 'CONTENTS_INVALID', path, message: `${path}: ${error.message}` });
    }
  };
  judge('global/pg_control', () => decodeControlFile(contents.controlFile));
  judge('checkpoint', () =>
    decodeCheckPoint(contents.checkpoint.subarray(0, CHECK_POINT_BYTES), postgresMajor),
  );
  for (const { relationMap, dbNode } of contents.databases) {
    if (relationMap === undefined) continue;
    const directory = dbNode === 0 ? 'global' : `base/${dbNode}`;
    judge(`${directory}/pg_filenode.map`, () => decodeRelationMap(relationMap, postgresMajor));
  }
}

class ValueCheck {
  readonly #collector: VerifyCollector;
  readonly #expected: ExpectedBlocks<PageRun>;
  readonly #pages: PageCheck;
  readonly #redo: CountedRedo;
  readonly #hasChecksum: ChecksumRule;

  constructor(of: {
    readonly view: TimelineReader;
    readonly contents: TimelineContents;
    readonly collector: VerifyCollector;
    readonly redo: CountedRedo;
  }) {
    this.#collector = of.collector;
    this.#redo = of.redo;
    this.#pages = new PageCheck(of.collector);
    this.#expected = new ExpectedBlocks(expectedRuns(of.contents));
    this.#hasChecksum = checksumRule(of.view, of.contents);
  }

  verify({ key, value }: KeyValue): void {
    this.#collector.count('keys');
    const parsed = parseKey(key);
    if (parsed.kind !== 'relation-block' && parsed.kind !== 'slru-block') return;
    const { blockNumber } = parsed;
    const run = this.#expected.take(key, blockNumber);
    this.#reportMissing();
    if (run === undefined) this.#collector.count('stalePages');
    else if (!this.#redo.isMissing(value)) this.#verifyPage(run, { key, value }, blockNumber);
  }

  /** A page that is there and cannot be read was told already. */
  pass(key: Uint8Array): void {
    const parsed = parseKey(key);
    if (parsed.kind === 'relation-block' || parsed.kind === 'slru-block')
      this.#expected.take(key, parsed.blockNumber);
    this.#reportMissing();
  }

  finish(): void {
    this.#expected.finish();
    this.#reportMissing();
  }

  #verifyPage({ path, tag }: PageRun, { key, value }: KeyValue, blockNumber: number): void {
    if (tag === undefined) {
      this.#collector.count('slruPages');
      if (value.length >= BLCKSZ) return;
      this.#collector.error({
        code: 'PAGE_SIZE',
        path,
        message: `page ${blockNumber} of ${path} has ${value.length} bytes`,
      });
      return;
    }
    const segment = Math.floor(blockNumber / RELSEG_BLOCKS);
    this.#pages.check({
      pages: withoutNeonFlag(value),
      firstBlock: blockNumber,
      path: segment === 0 ? path : `${path}.${segment}`,
      hasChecksums: !this.#redo.isRedone(value) && this.#hasChecksum({ key, page: value, tag }),
    });
  }

  #reportMissing(): void {
    for (const { run, firstBlock, count } of this.#expected.missing()) {
      this.#collector.error({
        code: 'PAGE_MISSING',
        path: run.path,
        message: `${run.path} has ${run.blocks} blocks by its size, and no layer has block ${firstBlock}${count > 1 ? ` and the ${count - 1} after it` : ''}`,
      });
    }
  }
}

function expectedRuns({ databases, slruSegments }: TimelineContents): PageRun[] {
  const relations = databases.flatMap(({ forks }) =>
    forks.map(({ tag, blockCount: blocks }) => ({
      firstKey: relBlockKey(tag, 0),
      blocks,
      tag,
      path: formatRelationPath(tag, 0),
    })),
  );
  const slrus = slruSegments.map(({ slru, segno, blockCount: blocks }) => ({
    firstKey: slruBlockKey(slru, segno, 0),
    blocks,
    path: formatSlruPath(slru, segno),
  }));
  return [...relations, ...slrus].sort((a, b) => Buffer.compare(a.firstKey, b.firstKey));
}

type ChecksumRule = (of: {
  readonly key: Uint8Array;
  readonly page: Uint8Array;
  readonly tag: RelTag;
}) => boolean;

/**
 * Which pages carry a valid `pd_checksum`: those that nobody changed since the import of a cluster with checksums, for after it
 * Neon keeps pages without valid ones. They come from an image layer of the import and are older than it; pages of the maps change
 * without a new LSN and are told only where there is no other layer.
 */
function checksumRule({ source, lsn }: TimelineReader, { controlFile }: TimelineContents): ChecksumRule {
  // A split made layers of its own.
  if (!hasDataChecksums(controlFile) || source.tenant.shard.count > 1) return () => false;
  const { initdbLsn } = source.index.metadata;
  const isOfImport = ({ desc }: StoredLayer) => desc.kind === 'image' && desc.lsnStart === initdbLsn;
  if (source.ancestor === undefined && source.layers.layers.every(isOfImport)) return () => true;
  return ({ key, page, tag: { forkNum } }) => {
    if (forkNum === 1 || forkNum === 2 || decodePageHeader(page).lsn >= initdbLsn) return false;
    const layers = [...source.layers.descend(key, toLsn(lsn + 1n))];
    const lowest = layers.at(-1)?.layer;
    return lowest !== undefined && isOfImport(lowest);
  };
}

function hasDataChecksums(controlFile: Uint8Array): boolean {
  try {
    return decodeControlFile(controlFile).dataChecksumVersion === 1;
  } catch {
    return false;
  }
}
