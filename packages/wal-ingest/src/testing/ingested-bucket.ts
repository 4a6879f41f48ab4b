/*
 * Makes what a real page server is asked about (docs/real-page-server.md): a bucket whose timeline is an import with our own delta
 * layers on top, and what stock recovery makes of the same WAL at several LSNs.
 *
 *     node --conditions=@neon-snapshot/source packages/wal-ingest/src/testing/ingested-bucket.ts MAJOR DIRECTORY
 *
 * writes DIRECTORY/bucket, DIRECTORY/recovered-N and DIRECTORY/points.json (LSNs in the order of N).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, lchown, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  encodeIndexPart,
  indexObjectKey,
  layerObjectKey,
  loadTimeline,
  openTimelineView,
  type RedoFunction,
  UNSHARDED,
} from '@neon-snapshot/neon-layer';
import {
  CLUSTER_STATE,
  decodeControlFile,
  formatLsn,
  type Lsn,
  lsn,
  readWalRecords,
  walSegmentFileName,
} from '@neon-snapshot/postgres';
import {
  copyTree,
  findPostgres,
  initdb,
  type PostgresInstallation,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { applyNeonRecord, createRedoEngine, reconstructPage } from '@neon-snapshot/wal-redo';
import { buildDeltaLayers } from '../delta-layers.ts';
import { MemoryTimeline } from '../memory-timeline.ts';
import { WalIngest } from '../wal-ingest.ts';
import { runStockWorkload } from './stock-workload.ts';

const IDS = { tenantId: '7'.repeat(32), timelineId: '8'.repeat(32) };
const GENERATION = 2;
const POINTS = 4;
const LAYER_BYTES = 1024 * 1024;
const SEGMENT_SIZE = 16 * 1024 * 1024;
const SETTINGS = {
  wal_level: 'logical',
  max_wal_size: '10GB',
  wal_keep_size: '10GB',
  checkpoint_timeout: '1d',
  max_prepared_transactions: 5,
  fsync: false,
  autovacuum: false,
};

interface Place {
  readonly major: number;
  readonly directory: string;
  readonly installation: PostgresInstallation;
}

async function main([major = '', directory = '']: readonly string[]): Promise<void> {
  const place = {
    major: Number(major),
    directory,
    installation: await findPostgres({ major: Number(major) }),
  };
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  const user = unprivilegedUser();
  if (user !== undefined) await lchown(directory, user.uid, user.gid);
  await makeWal(place);
  importBase(place);
  const points = await storeWal(place);
  await writeFile(path.join(directory, 'points.json'), JSON.stringify(points.map(formatLsn)));
  for (const [index, point] of points.entries())
    await recover(place, index, index === points.length - 1 ? undefined : point);
}

/** `base`: never started; `data`: the same after the workload, with all WAL. */
async function makeWal({ directory, installation }: Place): Promise<void> {
  const [base, data] = [path.join(directory, 'base'), path.join(directory, 'data')];
  await initdb({ installation, dataDirectory: data, sync: false });
  await copyTree({ source: data, target: base });
  await using server = await startPostgres({ installation, dataDirectory: data, settings: SETTINGS });
  await runStockWorkload(server);
  await server.stop('fast');
}

function importBase({ directory }: Place): void {
  const program = fileURLToPath(new URL('../../../cli/src/main.ts', import.meta.url));
  execFileSync(process.execPath, [
    '--conditions=@neon-snapshot/source',
    program,
    'init',
    ...['-D', path.join(directory, 'repository')],
    `--snapshot_path=${path.join(directory, 'base')}`,
    `--storage_dest=${path.join(directory, 'bucket')}`,
    `--tenant_id=${IDS.tenantId}`,
    `--timeline=${IDS.timelineId}`,
  ]);
}

/** Puts delta layers with all WAL on top of the import, and an index that ends there. Gives LSNs at ends of records. */
async function storeWal({ major, directory }: Place): Promise<Lsn[]> {
  await using storage = await openFsStorage({ rootPath: path.join(directory, 'bucket') });
  const tenant = { tenantId: IDS.tenantId, shard: UNSHARDED };
  const { index } = await loadTimeline(storage, { tenant, timelineId: IDS.timelineId });
  const start = index.metadata.diskConsistentLsn;
  const view = await openTimelineView(storage, { tenant, timelineId: IDS.timelineId });
  const timeline = new MemoryTimeline({ base: view, redo: redoOf(major) });
  const ingest = await WalIngest.open({ major, heapLayout: 'stock', state: timeline, sink: timeline.apply });
  const records = [...readWalRecords({ ...walOf(path.join(directory, 'data/pg_wal'), major), start })];
  for (const { bytes, end } of records) await ingest.ingest({ bytes, end });
  view.close();
  const end = records.at(-1)?.end ?? start;
  const layers = new Map(index.layers);
  const options = { ...IDS, lsnStart: lsn(start + 1n), lsnEnd: lsn(end + 1n), layerBytesMax: LAYER_BYTES };
  for (const { name, chunks, sizeBytes } of buildDeltaLayers(timeline.writes, options)) {
    await storage.put(
      layerObjectKey({ ...IDS, layerName: name, generation: GENERATION }),
      Buffer.concat(chunks),
    );
    layers.set(name, { fileSize: sizeBytes, generation: GENERATION });
  }
  const metadata = { ...index.metadata, diskConsistentLsn: end, prevRecordLsn: records.at(-1)?.start };
  await storage.put(
    indexObjectKey({ tenant, timelineId: IDS.timelineId, generation: GENERATION }),
    encodeIndexPart({ ...index, layers, diskConsistentLsn: end, metadata }),
  );
  console.log(
    `${major}: ${records.length} records, ${timeline.writes.length} values, ${layers.size - index.layers.size} delta layers`,
  );
  return Array.from({ length: POINTS }, (_, nth) => {
    const at = Math.floor(((nth + 1) * records.length) / POINTS) - 1;
    return records[at]?.end ?? end;
  });
}

function redoOf(major: number): RedoFunction {
  const engine = createRedoEngine({ major, heapLayout: 'neon', hintBitsLogged: false });
  return async ({ parsedKey, base, records }) => {
    let page = base;
    for (const { lsn: endLsn, record } of records) {
      if (record.kind !== 'postgres') {
        page = applyNeonRecord(Uint8Array.from(page ?? new Uint8Array(8192)), record, endLsn);
      } else if (parsedKey.kind === 'relation-block') {
        const own = [{ endLsn, bytes: record.record }];
        page = reconstructPage(engine, { ...parsedKey, base: page, records: own });
      }
    }
    return page ?? new Uint8Array(8192);
  };
}

function walOf(directory: string, major: number) {
  const segment = (segno: number): Uint8Array | undefined => {
    const file = path.join(directory, walSegmentFileName(1, segno, SEGMENT_SIZE));
    return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined;
  };
  return { major, segmentSize: SEGMENT_SIZE, segment };
}

/** Archive recovery by Postgres itself up to an LSN: every record that starts before it; without one of all WAL. */
async function recover(
  { directory, installation }: Place,
  index: number,
  point: Lsn | undefined,
): Promise<void> {
  const [target, archive] = [path.join(directory, `recovered-${index}`), path.join(directory, 'archive')];
  if (!existsSync(archive)) {
    await mkdir(archive);
    for (const name of await readdir(path.join(directory, 'data/pg_wal')))
      if (/^[0-9A-F]{24}$/.test(name))
        await cp(path.join(directory, 'data/pg_wal', name), path.join(archive, name));
    await chmod(archive, 0o755);
    for (const name of await readdir(archive)) await chmod(path.join(archive, name), 0o644);
  }
  await copyTree({ source: path.join(directory, 'base'), target });
  await writeFile(path.join(target, 'recovery.signal'), '');
  await using server = await startPostgres({
    installation,
    dataDirectory: target,
    settings: {
      ...SETTINGS,
      hot_standby: false,
      restore_command: `cp ${archive}/%f %p`,
      ...(point === undefined
        ? {}
        : {
            recovery_target_lsn: formatLsn(point),
            recovery_target_inclusive: false,
            recovery_target_action: 'promote',
          }),
    },
  });
  await promoted(target);
  await server.stop('fast');
}

/** A stop before that would leave pages unwritten. No session may look: it would set hint bits. */
async function promoted(dataDirectory: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const { state } = decodeControlFile(readFileSync(path.join(dataDirectory, 'global/pg_control')));
    if (state === CLUSTER_STATE.inProduction) return;
    await sleep(100);
  }
  throw new Error('Postgres did not end its recovery');
}

await main(process.argv.slice(2));
