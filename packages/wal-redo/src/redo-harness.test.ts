import { findPostgres, listPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { type ConsistencyReport, checkConsistency } from './testing/check-consistency.ts';
import { compareWithStock, engineFor, makeHarnessCluster, stockOperations } from './testing/redo-harness.ts';

const SHORT = { scale: 0.15, rounds: 1, special: true, checkpoints: true };
const TIMEOUT_MS = 120_000;

/** Postgres writes these with images only, so there is nothing to redo and compare. */
const IMAGES_ONLY = ['XLOG/fpi', 'XLOG/fpiForHint', 'Hash/splitPage', 'Gin/vacuumPage', 'Gin/split'];

/** The two layouts of heap records; CI takes all. */
const MAJORS = process.env.CI === undefined ? [14, 17] : [14, 15, 16, 17];

describe.each(MAJORS)('redo of WAL that stock Postgres %i wrote', (major) => {
  it(
    'makes every page equal to the after-image in the record',
    async () => {
      const installation = await findPostgres({ major });
      const settings = { wal_consistency_checking: 'all', wal_log_hints: true };
      await using cluster = await makeHarnessCluster({ ...SHORT, installation, settings });
      const report = checkConsistency(cluster, engineFor(cluster));
      expect(report.problems).toEqual([]);
      expect(report.different).toBe(0);
      expect(report.equal).toBeGreaterThan(20_000);
      expectAllOperations(report);
    },
    TIMEOUT_MS,
  );

  // Half of the majors log hint bits; full-page images are compressed by pglz.
  it(
    'ends with the very bytes of a replay by Postgres itself, free space maps aside',
    async () => {
      const installation = await findPostgres({ major });
      const dataChecksums = major % 2 === 1;
      const settings = { wal_compression: 'on' };
      await using cluster = await makeHarnessCluster({ ...SHORT, installation, dataChecksums, settings });
      const result = await compareWithStock(cluster);
      expect(result.different).toEqual([]);
      expect(result.equal).toBeGreaterThan(500);
    },
    TIMEOUT_MS,
  );
});

/** npm's builds have neither method. */
const [system] = (await listPostgres()).filter(({ major, source }) => major === 15 && source !== 'npm');

describe.runIf(system !== undefined || process.env.CI === 'true')(
  'redo of images of the 15 of this machine (if there is one)',
  () => {
    it.each(['lz4', 'zstd'])(
      'finds them equal when compressed by %s',
      async (method) => {
        if (system === undefined)
          throw new Error('there is no Postgres 15 but npm’s, which has no lz4 and zstd');
        const settings = { wal_consistency_checking: 'all', wal_compression: method };
        const workload = { scale: 0.05, rounds: 1, special: false, checkpoints: false };
        await using cluster = await makeHarnessCluster({ ...workload, installation: system, settings });
        // From 15.19 on GiST pages are not marked in any way.
        const engine = engineFor(cluster, { gistTuplesDeleted: 'none' });
        const report = checkConsistency(cluster, engine);
        expect(report.problems).toEqual([]);
        expect(report.equal).toBeGreaterThan(2_000);
      },
      TIMEOUT_MS,
    );
  },
);

/** Whatever has redo is produced by the workload and, where it is more than images, compared. */
function expectAllOperations(report: ConsistencyReport): void {
  const { operations } = report;
  expect(stockOperations().filter((name) => !operations.has(name))).toEqual([]);
  const uncompared = [...operations].filter(([, { equal }]) => equal === 0).map(([name]) => name);
  expect(uncompared.filter((name) => !IMAGES_ONLY.includes(name))).toEqual([]);
}
