import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { decodeControlFile, decodeTimelineHistory } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { makeScratchDirectory } from './testing/directory.ts';
import { roundTrip } from './testing/round-trip.ts';

const HBA = 'local all all peer\nhostssl all all 10.0.0.0/8 scram-sha-256\n';
const CONFIGURATION = "\nwork_mem = '7MB'\nmax_connections = 137\n";
const CONFIGURATION_FILES = ['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'];

describe('a promoted standby with configuration of its own', () => {
  it('keeps its configuration files and continues on the next TimeLineID', { timeout: 180_000 }, async () => {
    await using directory = await makeScratchDirectory();
    await using cluster = await makeTestCluster({
      major: 16,
      timeLineId: 2,
      hba: HBA,
      configuration: CONFIGURATION,
    });
    const storageDest = path.join(directory.path, 'bucket');
    const exported = await roundTrip({ cluster, directory: directory.path, storageDest });
    for (const name of CONFIGURATION_FILES) {
      const wanted = await readFile(path.join(cluster.dataDirectory, name), 'utf8');
      expect(await readFile(path.join(exported, name), 'utf8'), name).toBe(wanted);
      expect((await stat(path.join(exported, name))).mode & 0o777, name).toBe(0o600);
    }
    const before = decodeControlFile(await readFile(path.join(cluster.dataDirectory, 'global/pg_control')));
    const after = decodeControlFile(await readFile(path.join(exported, 'global/pg_control')));
    expect(before.checkPointCopy.thisTimeLineId).toBe(2);
    expect(after.checkPointCopy.thisTimeLineId).toBe(3);
    expect(after.systemIdentifier).toBe(before.systemIdentifier);
    const history = decodeTimelineHistory(await readFile(path.join(exported, 'pg_wal/00000003.history')));
    expect(history.map((entry) => entry.timeLineId)).toEqual([1, 2]);
  });
});
