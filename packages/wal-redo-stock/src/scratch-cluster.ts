/** The least that crash recovery of Postgres needs of a data directory, and the files of the pages in it. */
import {
  chownSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  BLCKSZ,
  type ControlFile,
  DEFAULT_TABLESPACE_OID,
  encodeControlFile,
  type ForkNumber,
  formatRelationPath,
  RELSEG_BLOCKS,
  stockControlFile,
} from '@neon-snapshot/postgres';
import type { ServerUser } from '@neon-snapshot/postgres-process';
import { type CompactWal, SYSTEM_IDENTIFIER, WAL_SEGMENT_SIZE } from './compact-wal.ts';
import type { PageHome } from './isolate-record.ts';
import type { PagePlan } from './plan-page.ts';

const SCRATCH_DATABASE = 16_384;
const FIRST_RELATION = 16_385;

const DIRECTORIES = [
  'global',
  'base',
  `base/${SCRATCH_DATABASE}`,
  'pg_wal',
  'pg_wal/archive_status',
  'pg_xact',
  'pg_subtrans',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'pg_twophase',
  'pg_replslot',
  'pg_logical',
  'pg_logical/snapshots',
  'pg_logical/mappings',
  'pg_tblspc',
  'pg_commit_ts',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_dynshmem',
];

/** Each page has a relation to itself, so that nothing that is replayed for another can reach it. */
export function relationFor(index: number, major: number): Omit<PageHome, 'forkNum' | 'blockNumber'> {
  return {
    major,
    spcNode: DEFAULT_TABLESPACE_OID,
    dbNode: SCRATCH_DATABASE,
    relNode: FIRST_RELATION + index,
  };
}

export interface ScratchClusterOptions {
  readonly directory: string;
  readonly major: number;
  readonly user: ServerUser | undefined;
  readonly wal: CompactWal;
  readonly plans: readonly PagePlan[];
}

/** Writes everything; Postgres can start. Synchronous: many small files, a system call of microseconds each. */
export function writeScratchCluster(options: ScratchClusterOptions): void {
  const { directory, user, wal, plans } = options;
  const give = (path: string): void => {
    if (user !== undefined) chownSync(path, user.uid, user.gid);
  };
  for (const name of ['', ...DIRECTORIES]) {
    mkdirSync(join(directory, name), { mode: 0o700, recursive: true });
    give(join(directory, name));
  }
  const write = (name: string, content: string | Uint8Array): void => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    give(join(directory, name));
  };
  write('PG_VERSION', `${options.major}\n`);
  write('postgresql.conf', '');
  write('global/pg_control', encodeControlFile(scratchControlFile(options)));
  for (const { fileName, bytes } of wal.finish()) write(`pg_wal/${fileName}`, bytes);
  for (const plan of plans) {
    for (const [forkNum, blocks] of plan.forkBlocks) writeFork({ directory, give, plan, forkNum, blocks });
  }
}

interface Fork {
  readonly directory: string;
  readonly give: (path: string) => void;
  readonly plan: PagePlan;
  readonly forkNum: number;
  readonly blocks: number;
}

/** Files with holes: a page of zeros is none to redo. The page's own block and those that must be there are written. */
function writeFork({ directory, give, plan, forkNum, blocks }: Fork): void {
  const pages = forkNum === plan.home.forkNum ? pagesOf(plan) : [];
  for (let first = 0; first < blocks; first += RELSEG_BLOCKS) {
    const path = join(directory, forkPath(plan.home, forkNum, first));
    const file = openSync(path, 'wx', 0o600);
    try {
      ftruncateSync(file, Math.min(blocks - first, RELSEG_BLOCKS) * BLCKSZ);
      for (const [blockNumber, page] of pages) {
        if (blockNumber < first || blockNumber >= first + RELSEG_BLOCKS) continue;
        writeSync(file, page, 0, BLCKSZ, (blockNumber - first) * BLCKSZ);
      }
    } finally {
      closeSync(file);
    }
    give(path);
  }
}

function pagesOf(plan: PagePlan): (readonly [number, Uint8Array])[] {
  const present = [...plan.presentBlocks].map((block) => [block, untouchablePage()] as const);
  return plan.base === undefined ? present : [...present, [plan.home.blockNumber, plan.base] as const];
}

/** A page that has every record already. */
function untouchablePage(): Uint8Array {
  const page = new Uint8Array(BLCKSZ);
  page.fill(0xff, 0, 8);
  const view = new DataView(page.buffer);
  view.setUint16(12, 24, true);
  view.setUint16(14, BLCKSZ, true);
  view.setUint16(16, BLCKSZ, true);
  view.setUint16(18, BLCKSZ | 4, true);
  return page;
}

/** Reads a page back into `page`; false where its file ends before it. */
export function readScratchPage(directory: string, home: PageHome, page: Uint8Array): boolean {
  const path = join(directory, forkPath(home, home.forkNum, home.blockNumber));
  const file = openSync(path, 'r');
  try {
    return readSync(file, page, 0, BLCKSZ, (home.blockNumber % RELSEG_BLOCKS) * BLCKSZ) === BLCKSZ;
  } finally {
    closeSync(file);
  }
}

function forkPath({ spcNode, dbNode, relNode }: PageHome, forkNum: number, blockNumber: number): string {
  const tag = { spcNode, dbNode, relNode, forkNum: forkNum as ForkNumber };
  return formatRelationPath(tag, Math.floor(blockNumber / RELSEG_BLOCKS));
}

/** In production, so that Postgres recovers from the crash that it then must have had. Checksums are off: we stamp them. */
function scratchControlFile({ major, wal }: ScratchClusterOptions): ControlFile {
  return stockControlFile({
    major,
    systemIdentifier: SYSTEM_IDENTIFIER,
    checkPoint: wal.checkPointLsn,
    checkPointCopy: wal.checkPoint,
    maxConnections: 5,
    maxWorkerProcesses: 0,
    maxWalSenders: 0,
    walSegmentSizeBytes: WAL_SEGMENT_SIZE,
  });
}
