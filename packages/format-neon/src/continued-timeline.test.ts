import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { loadTimeline } from '@neon-snapshot/neon-layer';
import { WalStreamDecoder } from '@neon-snapshot/neon-timeline';
import {
  decodeControlFile,
  readWalRecords,
  WAL_SEGMENT_SIZE_DEFAULT,
  walSegmentNumber,
  walSegmentStart,
} from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, test } from 'vitest';
import { plugin as neon } from './plugin.ts';
import { copy } from './testing/copy.ts';
import { exportEndpoint } from './testing/endpoint.ts';

const TENANT = 'aa101010101010101010101010101010';
const TIMELINE = 'aa202020202020202020202020202020';
const SEGMENT_SIZE = WAL_SEGMENT_SIZE_DEFAULT;
const TEST_TIMEOUT_MS = 120_000;

async function importCluster(dataDirectory: string): Promise<Storage> {
  const storage = createMemoryStorage();
  await using source = await openFsStorage({ rootPath: dataDirectory });
  const options = { tenant_id: TENANT, timeline_id: TIMELINE };
  await copy({ format: pgdata, storage: source }, { format: neon, storage, options });
  return storage;
}

describe('a timeline that an endpoint goes on with', () => {
  test.each([14, 17])(
    'is continued by WAL of Postgres %i that links to its last record',
    { timeout: TEST_TIMEOUT_MS },
    async (major) => {
      await using cluster = await makeTestCluster({ major, scale: 1, timeLineId: major === 17 ? 2 : 1 });
      await using storage = await importCluster(cluster.dataDirectory);
      const { index } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
      const { diskConsistentLsn, prevRecordLsn } = index.metadata;
      await using endpoint = await exportEndpoint(storage);
      const { dataDirectory } = endpoint;
      expect(readdirSync(join(dataDirectory, 'pg_wal')).filter((name) => name.endsWith('.history'))).toEqual(
        [],
      );
      const control = decodeControlFile(readFileSync(join(dataDirectory, 'global/pg_control')));
      expect(control.checkPointCopy).toMatchObject({ thisTimeLineId: 1, prevTimeLineId: 1 });
      await endpoint.run((server) =>
        server.query('create table more as select g from generate_series(1, 5000) g'),
      );

      const decoder = new WalStreamDecoder({
        major,
        segmentSize: SEGMENT_SIZE,
        systemIdentifier: control.systemIdentifier,
        start: diskConsistentLsn,
        previousRecord: prevRecordLsn,
      });
      decoder.push(endpoint.walFrom(diskConsistentLsn));
      expect(decoder.next()?.start).toBe(endpoint.checkPoint);
      let count = 0;
      while (decoder.next() !== undefined) count++;
      expect(count).toBeGreaterThan(5000);
      expect(decoder.recordEnd).toBe(decoder.position);
    },
  );

  test('is continued through crashes of Postgres: what it gave up in the midst of a record is left out', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const major = 17;
    await using cluster = await makeTestCluster({ major, scale: 1 });
    await using storage = await importCluster(cluster.dataDirectory);
    const { index } = await loadTimeline(storage, { tenant: TENANT, timelineId: TIMELINE });
    const { diskConsistentLsn: start, prevRecordLsn: previousRecord } = index.metadata;
    await using endpoint = await exportEndpoint(storage);
    await endpoint.run((server) =>
      server.query('create table t (id int, pad text); alter table t alter pad set storage external'),
    );
    for (const afterMs of [50, 90, 130, 170, 210, 250]) {
      const insert = "insert into t select g, repeat('x', 9000 + g % 3000) from generate_series(1, 100000) g";
      await endpoint.crash((server) => server.query(insert), afterMs);
    }
    await endpoint.run((server) => server.query('insert into t values (1, null)'));
    const bytes = endpoint.walFrom(start);
    const decoder = new WalStreamDecoder({ major, segmentSize: SEGMENT_SIZE, start, previousRecord });
    decoder.push(bytes);
    const decoded: string[] = [];
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) {
      decoded.push(`${record.start} ${record.end} ${record.bytes.length}`);
    }
    const first = walSegmentNumber(start, SEGMENT_SIZE);
    // A reading wants whole pages.
    const whole = Buffer.concat([
      endpoint.walFrom(walSegmentStart(first, SEGMENT_SIZE)),
      new Uint8Array(8192),
    ]);
    const segment = (segno: number) =>
      whole.subarray((segno - first) * SEGMENT_SIZE, (segno - first + 1) * SEGMENT_SIZE);
    const read = [
      ...readWalRecords({ major, segmentSize: SEGMENT_SIZE, segment, start, end: decoder.position }),
    ];
    // XLOG_OVERWRITE_CONTRECORD: where a record was given up.
    const gaveUp = read.filter((record) => record.bytes[16] === 0xd0 && record.bytes[17] === 0);
    expect(gaveUp.length).toBeGreaterThan(0);
    expect(decoded).toEqual(read.map((record) => `${record.start} ${record.end} ${record.bytes.length}`));
    expect(decoder.recordEnd).toBe(decoder.position);
  });
});
