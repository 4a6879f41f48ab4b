/**
 * The longest test files, most of the time of all: `npm test` alone leaves them to CI. They run wherever `CI` is set or where
 * words name what to run: `npm test -- packages/end-to-end`.
 */
export const TESTS_OF_CI: readonly string[] = [
  // What a lost or broken machine does, beside killed-process and two-machines.
  'packages/end-to-end/src/lost-machine.test.ts',
  'packages/end-to-end/src/paused-machine.test.ts',
  'packages/end-to-end/src/pgbench.test.ts',
  'packages/end-to-end/src/storage-outage.test.ts',
  'packages/end-to-end/src/full-disk.test.ts',
  'packages/end-to-end/src/bad-destination.test.ts',
  'packages/end-to-end/src/damaged-bucket.test.ts',
  'packages/end-to-end/src/fault-sweep.test.ts',
  'packages/end-to-end/src/killed-copy.test.ts',
  'packages/format-neon/src/killed-import.test.ts',
  'packages/format-neon/src/resume.test.ts',
  'packages/format-neon/src/writer-races.test.ts',
  // Real clusters and servers, beside matrix, anywhere and follow-primary.
  'packages/end-to-end/src/backup-into-neon.test.ts',
  'packages/end-to-end/src/basebackup.test.ts',
  'packages/end-to-end/src/big-relation.test.ts',
  'packages/end-to-end/src/endpoint-history.test.ts',
  'packages/end-to-end/src/follow-changes.test.ts',
  'packages/end-to-end/src/format-matrix.test.ts',
  'packages/end-to-end/src/pinned-snapshot.test.ts',
  'packages/end-to-end/src/promoted.test.ts',
  'packages/format-basebackup/src/real-cluster.test.ts',
  'packages/format-neon/src/raw-tail.test.ts',
  'packages/format-neon/src/round-trip.test.ts',
  'packages/format-neon/src/sample-clusters.test.ts',
  'packages/pageserver/src/backup/live-backups.test.ts',
];
