import { stat } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { describe, expect, it } from 'vitest';
import { makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { compareRelationFiles } from './testing/relation-files.ts';
import { roundTrip } from './testing/round-trip.ts';

const GIB = 1024 ** 3;
/** Each takes about 5 GB of disk and half a minute; they are CI's. */
const MAJORS = [14, 15, 16, 17];

describe.runIf(process.env.CI === 'true').each(MAJORS)('a relation of 1.2 GiB in Postgres %i', (major) => {
  it('comes back in two segment files, byte for byte', { timeout: 600_000 }, async () => {
    await using directory = await makeScratchDirectory();
    await using cluster = await makeTestCluster({ major, dataChecksums: true, bigRelationBytes: 1.2 * GIB });
    const exported = await roundTrip({
      cluster,
      directory: directory.path,
      storageDest: path.join(directory.path, 'bucket'),
    });
    const { stdout } = await neon(['snapshot', 'show', `--snapshot_path=${exported}`, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ version: 1, command: 'snapshot show' });
    expect((await stat(exported)).mode & 0o777).toBe(0o700);
    expect(await compareRelationFiles(exported, exported)).toEqual([]);
  });
});
