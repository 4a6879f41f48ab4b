import path from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { describe, it } from 'vitest';
import { makeBucket } from './testing/bucket.ts';
import { makeScratchDirectory } from './testing/directory.ts';
import { roundTrip } from './testing/round-trip.ts';

/** CI takes all of Neon's. */
const MAJORS: readonly number[] = process.env.CI === undefined ? [17] : [14, 15, 16, 17];

describe.each(MAJORS)('a cluster of Postgres %i with one of everything', (major) => {
  it('with checksums goes into Neon layers on file storage and comes back', {
    timeout: 180_000,
  }, async () => {
    await using directory = await makeScratchDirectory();
    await using cluster = await makeTestCluster({ major, dataChecksums: true });
    await roundTrip({ cluster, directory: directory.path, storageDest: path.join(directory.path, 'bucket') });
  });

  it('without checksums goes into Neon layers on S3 and comes back', { timeout: 180_000 }, async () => {
    await using directory = await makeScratchDirectory();
    await using bucket = await makeBucket(path.join(directory.path, 'objects'));
    await using cluster = await makeTestCluster({ major, dataChecksums: false });
    await roundTrip({ cluster, directory: directory.path, storageDest: bucket.url, env: bucket.env });
  });
});
