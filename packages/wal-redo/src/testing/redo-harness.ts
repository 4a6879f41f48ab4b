/** The harness: clusters of every kind, whose WAL is replayed by us and judged by Postgres. */
import { join } from 'node:path';
import { type RunWorkloadOptions, runWorkload } from '@neon-snapshot/cluster-testkit';
import type { PostgresInstallation, ServerSettings } from '@neon-snapshot/postgres-process';
import type { RedoSettings } from '../redo-context.ts';
import { createRedoEngine, type RedoEngine, type RedoEngineOptions } from '../redo-engine.ts';
import { RESOURCE_MANAGERS } from '../resource-managers.ts';
import { BasePages } from './base-pages.ts';
import { operationLabel } from './check-consistency.ts';
import { makeRedoCluster, type RedoCluster } from './redo-cluster.ts';
import { type ReplayCounts, replayWal } from './replay-wal.ts';
import { comparePages, type PageComparison, replayWithStock } from './stock-replay.ts';

export interface HarnessOptions extends RunWorkloadOptions {
  readonly installation: PostgresInstallation;
  readonly dataChecksums?: boolean;
  readonly settings?: ServerSettings;
}

export function makeHarnessCluster(options: HarnessOptions): Promise<RedoCluster> {
  const { installation, dataChecksums = false, settings = {} } = options;
  return makeRedoCluster({ installation, dataChecksums, settings }, (server) =>
    runWorkload(
      {
        major: installation.major,
        copyFile: join(server.dataDirectory, 'copy.out'),
        connect: () => server.connect(),
      },
      options,
    ),
  );
}

/** An engine for the WAL of a cluster of stock Postgres. */
export function engineFor(
  cluster: RedoCluster,
  options: Partial<Pick<RedoEngineOptions, 'gistTuplesDeleted'>> = {},
): RedoEngine {
  return createRedoEngine({
    major: cluster.installation.major,
    heapLayout: 'stock',
    hintBitsLogged: cluster.control.dataChecksumVersion !== 0,
    ...options,
  });
}

/**
 * Replays all WAL with ours and with stock Postgres and compares every page. The replay of the minors that the
 * tests use marks GiST pages on both paths of deletion, unlike their primaries.
 */
export async function compareWithStock(
  cluster: RedoCluster,
  settings: Partial<Pick<RedoSettings, 'gistTuplesDeleted'>> = {
    gistTuplesDeleted: 'page-update-and-delete',
  },
): Promise<PageComparison & ReplayCounts> {
  const directory = await replayWithStock(cluster);
  const pages = new BasePages(cluster.baseDirectory);
  const counts = replayWal(cluster, { engine: engineFor(cluster, settings), pages });
  const ignoresChecksum = cluster.control.dataChecksumVersion !== 0;
  return { ...counts, ...comparePages(pages, directory, { ignoresChecksum }) };
}

/** Labels of all operations that have redo here, but those of Neon's own resource manager. */
export function stockOperations(): readonly string[] {
  return [...RESOURCE_MANAGERS]
    .filter(([id]) => id < 128)
    .flatMap(([id, { operations }]) => Object.values(operations).map((info) => operationLabel(id, info)));
}
