import { spawnSync } from 'node:child_process';
import {
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  BLCKSZ,
  CLUSTER_STATE,
  decodeControlFile,
  encodeControlFile,
  formatRelationPath,
  parseWalSegmentFileName,
  WAL_SEGMENT_SIZE_DEFAULT,
} from '@neon-snapshot/postgres';
import { copyTree, unprivilegedUser } from '@neon-snapshot/postgres-process';
import type { BasePages } from './base-pages.ts';
import type { RedoCluster } from './redo-cluster.ts';

/**
 * Lets Postgres itself replay the cluster's WAL over its base; gives the directory. The server ends right after recovery,
 * for want of a relation map, so no session has set a hint bit on any page.
 */
export async function replayWithStock(cluster: RedoCluster): Promise<string> {
  const directory = join(cluster.directory, 'stock');
  await copyTree({
    source: cluster.baseDirectory,
    target: directory,
    skip: (path) => path.startsWith('pg_wal/'),
  });
  linkWal(join(cluster.dataDirectory, 'pg_wal'), join(directory, 'pg_wal'));
  prepareForRecovery(directory);
  recover(cluster, directory);
  return directory;
}

/** Recovery writes to the last segment only; it removes the others, and here that is a name of theirs. */
function linkWal(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, 'archive_status'), { recursive: true });
  const segments = readdirSync(from)
    .filter((name) => parseWalSegmentFileName(name, WAL_SEGMENT_SIZE_DEFAULT) !== undefined)
    .sort();
  for (const [index, name] of segments.entries()) {
    const place = index === segments.length - 1 ? copyFileSync : linkSync;
    place(join(from, name), join(to, name));
  }
}

function prepareForRecovery(directory: string): void {
  rmSync(join(directory, 'global', 'pg_filenode.map'));
  const path = join(directory, 'global', 'pg_control');
  const control = decodeControlFile(readFileSync(path));
  writeFileSync(path, encodeControlFile({ ...control, state: CLUSTER_STATE.inProduction }));
  const user = unprivilegedUser();
  if (user === undefined) return;
  chownSync(directory, user.uid, user.gid);
  for (const entry of readdirSync(directory, { recursive: true })) {
    chownSync(join(directory, String(entry)), user.uid, user.gid);
  }
}

const SETTINGS = [
  'ignore_invalid_pages=on',
  'fsync=off',
  'wal_recycle=off',
  'max_prepared_transactions=20',
  'autovacuum=off',
  'shared_buffers=64MB',
  'log_min_messages=log',
];

function recover(cluster: RedoCluster, directory: string): void {
  const user = unprivilegedUser();
  const result = spawnSync(
    join(cluster.installation.binDirectory, 'postgres'),
    ['--single', '-D', directory, ...SETTINGS.flatMap((setting) => ['-c', setting]), 'postgres'],
    {
      input: '',
      encoding: 'utf8',
      cwd: directory,
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    },
  );
  const { state } = decodeControlFile(readFileSync(join(directory, 'global', 'pg_control')));
  if (!result.stderr.includes('redo done at') || state !== CLUSTER_STATE.shutDown) {
    throw new Error(`stock Postgres did not replay the WAL: ${result.stderr}`);
  }
}

export interface PageComparison {
  readonly equal: number;
  /** Pages of relations that are gone at the end. */
  readonly gone: number;
  readonly different: readonly string[];
}

/** Compares every page that records touched with the file of another data directory, byte for byte. */
export function comparePages(
  pages: BasePages,
  directory: string,
  options: { readonly ignoresChecksum: boolean },
): PageComparison {
  let equal = 0;
  let gone = 0;
  const different: string[] = [];
  for (const { tag, pages: touched } of pages.relations.values()) {
    const path = formatRelationPath(tag, 0);
    const file = existsSync(join(directory, path)) ? readFileSync(join(directory, path)) : undefined;
    for (const [block, page] of touched) {
      const expected = file?.subarray(block * BLCKSZ, (block + 1) * BLCKSZ);
      if (expected === undefined || expected.length < BLCKSZ) {
        gone++;
        continue;
      }
      if (options.ignoresChecksum) {
        page.fill(0, 8, 10);
        expected.fill(0, 8, 10);
      }
      if (Buffer.compare(page, expected) === 0) equal++;
      else {
        const at = page.findIndex((byte, index) => byte !== expected[index]);
        different.push(`${path} block ${block} byte ${at}: ${page[at]}, expected ${expected[at]}`);
      }
    }
  }
  return { equal, gone, different };
}
