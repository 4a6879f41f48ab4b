import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BLCKSZ,
  isZeroPage,
  type Lsn,
  parseRelationPath,
  RELSEG_BLOCKS,
  type RelTag,
} from '@neon-snapshot/postgres';
import type { Timeline } from '../timeline/timeline.ts';

const FREE_SPACE_MAP = 1;
const INIT_FORK = 3;

export interface PageComparison {
  readonly pageCount: number;
  /** Differences in words. */
  readonly wrong: readonly string[];
}

/**
 * Compares every page of a stopped cluster with the timeline's, but for what redo does not have to restore: the free space map, hint bits,
 * unused space, dead marks in indexes. What a file has behind the relation's end must be zeros.
 */
export async function comparePages(
  dataDirectory: string,
  timeline: Timeline,
  lsn: Lsn,
): Promise<PageComparison> {
  const wrong: string[] = [];
  let pageCount = 0;
  for (const { tag, segment, path } of await relationFiles(dataDirectory)) {
    const bytes = await readFile(join(dataDirectory, path));
    const size = await timeline.relSize(tag, lsn);
    if (size === undefined) {
      wrong.push(`${path}: the timeline has no such relation`);
      continue;
    }
    const first = segment * RELSEG_BLOCKS;
    const blockCount = Math.ceil(bytes.length / BLCKSZ);
    if (segment === 0 && size > blockCount && blockCount < RELSEG_BLOCKS)
      wrong.push(`${path}: the timeline has ${size} blocks, the file ${blockCount}`);
    for (let block = 0; block < blockCount; block += 1) {
      const theirs = bytes.subarray(block * BLCKSZ, (block + 1) * BLCKSZ);
      const isBehind = first + block >= size;
      const ours = isBehind ? new Uint8Array(BLCKSZ) : await timeline.getPage(tag, first + block, lsn);
      pageCount += 1;
      if (!isEqualButForHints(ours, theirs)) wrong.push(`${path} block ${block}`);
    }
  }
  return { pageCount, wrong };
}

interface RelationFileFound {
  readonly path: string;
  readonly tag: RelTag;
  readonly segment: number;
}

async function relationFiles(dataDirectory: string): Promise<readonly RelationFileFound[]> {
  const names = await readdir(dataDirectory, { recursive: true });
  const unlogged = new Set(names.filter((name) => name.endsWith('_init')).map((name) => name.slice(0, -5)));
  return names.flatMap((path) => {
    const file = parseRelationPath(path);
    if (file === undefined || file.tag.forkNum === FREE_SPACE_MAP || file.tag.forkNum === INIT_FORK)
      return [];
    if (unlogged.has(path.replace(/(_vm)?(\.\d+)?$/, ''))) return [];
    return [{ path, tag: file.tag, segment: file.segno }];
  });
}

function isEqualButForHints(ours: Uint8Array, theirs: Uint8Array): boolean {
  if (isZeroPage(ours) && isZeroPage(theirs)) return true;
  const [a, b] = [masked(ours), masked(theirs)];
  return Buffer.compare(a, b) === 0;
}

/** A copy without pd_lsn, pd_checksum, hint flags, pd_prune_xid, the hole, hint bits of tuples and dead marks of line pointers. */
function masked(page: Uint8Array): Buffer {
  const copy = Buffer.from(page);
  const [lower, upper, special] = [copy.readUInt16LE(12), copy.readUInt16LE(14), copy.readUInt16LE(16)];
  copy.fill(0, 0, 10);
  copy.writeUInt16LE(copy.readUInt16LE(10) & ~15, 10);
  copy.writeUInt32LE(0, 20);
  if (lower < 24 || lower > upper || upper > BLCKSZ) return copy;
  copy.fill(0, lower, upper);
  for (let place = 24; place + 4 <= lower; place += 4)
    if (special === BLCKSZ) maskHeapTuple(copy, place);
    else copy.writeUInt32LE((copy.readUInt32LE(place) & ~(3 << 15)) >>> 0, place);
  if (special === BLCKSZ - 16) maskBtreeSpecial(copy, special);
  return copy;
}

function maskHeapTuple(page: Buffer, place: number): void {
  const pointer = page.readUInt32LE(place);
  const [offset, flags, length] = [pointer & 0x7fff, (pointer >>> 15) & 3, pointer >>> 17];
  if (flags !== 1 || offset + 23 > BLCKSZ) return;
  // Status bits, t_cid, and the padding behind the tuple.
  const infomask = page.readUInt16LE(offset + 20);
  const isFrozen = (infomask & 0x0300) === 0x0300;
  page.writeUInt16LE(infomask & ~(isFrozen ? 0x0c00 : 0xfff0), offset + 20);
  page.writeUInt32LE(0, offset + 8);
  const end = offset + length;
  page.fill(0, Math.min(end, BLCKSZ), Math.min((end + 7) & ~7, BLCKSZ));
}

/** Flags of half-dead splits and the vacuum cycle. */
function maskBtreeSpecial(page: Buffer, special: number): void {
  page.writeUInt16LE(page.readUInt16LE(special + 12) & ~0x60, special + 12);
  page.writeUInt16LE(0, special + 14);
}
