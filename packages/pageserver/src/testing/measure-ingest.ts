/*
 * How fast the WAL of a stock Postgres is taken, in CPU seconds of this process (the machine may be busy):
 * node --conditions=@neon-snapshot/source packages/pageserver/src/testing/measure-ingest.ts [major] [rows]
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listTenants, listTimelines } from '@neon-snapshot/neon-layer';
import { WAL_SEGMENT_SIZE_DEFAULT } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { exportEndpoint, importFreshCluster, makeScratchDirectory, startEndpoint } from './live-postgres.ts';
import { makeStateDirectory, openTestServer } from './memory-server.ts';

const PIECE_BYTES = 128 * 1024;

async function main(major: number, rows: number): Promise<void> {
  await using bucket = createMemoryStorage();
  await using scratch = await makeScratchDirectory();
  await using directory = await makeStateDirectory();
  await importFreshCluster(bucket, { major, scratch: scratch.path });
  const dataDirectory = join(scratch.path, 'endpoint');
  await exportEndpoint(bucket, dataDirectory);
  const postgres = await startEndpoint(major, dataDirectory, {
    wal_keep_size: '8GB',
    fsync: 'off',
    max_wal_size: '2GB',
  });
  for (const sql of [
    'create table accounts (id int primary key, branch int, balance int, filler char(84))',
    `insert into accounts select g, g % 10, 0, '' from generate_series(1, ${rows}) g`,
    'create table history (id int, delta int, at timestamptz, filler char(22))',
    'vacuum analyze accounts',
    'checkpoint',
    `do $$ begin for i in 1..${rows} loop
       update accounts set balance = balance + 1 where id = 1 + (i::bigint * 7919) % ${rows};
       insert into history values (i, 1, now(), '');
       if i % 5 = 0 then commit; end if;
     end loop; end $$`,
  ])
    await postgres.query(sql);
  await postgres.stop('fast');
  const [tenant] = await listTenants(bucket);
  if (tenant === undefined) return;
  const [timelineId = ''] = await listTimelines(bucket, tenant);
  await using server = await openTestServer({
    storage: bucket,
    tenantId: tenant.tenantId,
    stateDirectory: directory.path,
    memoryBytesMax: 2 ** 31,
    layerBytesMax: 2 ** 31,
  });
  const timeline = server.timeline(timelineId);
  const walDirectory = join(dataDirectory, 'pg_wal');
  const names = (await readdir(walDirectory)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  const start = timeline.lastRecordLsn;
  const first = BigInt(`0x${names[0]?.slice(16)}`) * BigInt(WAL_SEGMENT_SIZE_DEFAULT);
  const wal = Buffer.concat(await Promise.all(names.map((name) => readFile(join(walDirectory, name)))));
  const all = Uint8Array.from(wal.subarray(Number(start - first)));
  const before = process.cpuUsage();
  for (;;) {
    const { receivedLsn } = timeline;
    const offset = Number(receivedLsn - start);
    const piece = all.slice(offset, offset + PIECE_BYTES);
    if (piece.length === 0) break;
    try {
      await timeline.ingestWal(piece, receivedLsn);
    } catch {
      // The zeros behind the last record.
      break;
    }
  }
  const megabytes = Number(timeline.lastRecordLsn - start) / 1e6;
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  const { recordsIngested, memoryBytes } = timeline.metrics;
  console.log(
    `ingest: ${megabytes.toFixed(0)} MB, ${recordsIngested} records in ${seconds.toFixed(2)} CPU s: ${(megabytes / seconds).toFixed(0)} MB/s, ${Math.round(recordsIngested / seconds)} records/s; memory ${(memoryBytes / 1e6).toFixed(0)} MB counted, RSS ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`,
  );
  const freezing = process.cpuUsage();
  await timeline.freeze();
  const used = process.cpuUsage(freezing);
  console.log(`freeze: ${((used.user + used.system) / 1e6).toFixed(2)} CPU s`);
}

await main(Number(process.argv[2] ?? 17), Number(process.argv[3] ?? 200_000));
