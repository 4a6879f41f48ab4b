import { expect, test } from 'vitest';
import { makeTestCluster } from './make-test-cluster.ts';
import { verifyTestCluster } from './verify-test-cluster.ts';

test.each([
  { major: 14, dataChecksums: false },
  { major: 15, dataChecksums: true },
  { major: 16, dataChecksums: false },
  { major: 17, dataChecksums: true },
  { major: 18, dataChecksums: true },
])('a test cluster of major $major passes its own check', async ({ major, dataChecksums }) => {
  await using cluster = await makeTestCluster({ major, dataChecksums });
  const { dataDirectory, expected } = cluster;
  expect(await verifyTestCluster({ dataDirectory, expected, unloggedEmpty: false })).toEqual([]);
});

test('a crashed cluster on a later timeline recovers to its expectation, with unlogged tables emptied', async () => {
  await using cluster = await makeTestCluster({ major: 17, shutdown: 'kill', timeLineId: 3 });
  const { dataDirectory, expected } = cluster;
  expect(await verifyTestCluster({ dataDirectory, expected, recovered: true })).toEqual([]);
});

test('a changed row is reported', async () => {
  await using cluster = await makeTestCluster({ major: 17, scale: 1 });
  const { dataDirectory, expected } = cluster;
  const other = {
    ...expected,
    checksums: { ...expected.checksums, template1: { tables: {}, sequences: {}, largeObjects: '1:0' } },
  };
  expect(await verifyTestCluster({ dataDirectory, expected: other, unloggedEmpty: false })).toMatchObject([
    expect.stringContaining('contents differ'),
  ]);
});
