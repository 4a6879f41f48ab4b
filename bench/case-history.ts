import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { formatLsn } from '@neon-snapshot/postgres';
import { makeCluster, sql, startServer, stopServer } from './cluster.ts';
import { bestOf, type Measurement, measure } from './measure.ts';
import { formatRows } from './report.ts';
import type { BenchOptions } from './run.ts';
import { appendWal } from './timeline-history.ts';
import { diskUsage, neon, own, removeAll, settle } from './tools.ts';

const SCALE = 25;

/** As Neon's computes run: without page images, so that each page has to be made from its base and its records. */
const SETTINGS =
  '-c full_page_writes=off -c max_wal_size=8GB -c wal_keep_size=8GB -c wal_recycle=off -c checkpoint_timeout=1d -c autovacuum=off';

/** On three of ten pages of 61 rows each four rows, one after the other. */
const WORK = [3, 18, 33, 48].map(
  (row) =>
    `UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 61 = ${row} AND (aid / 61) % 10 < 3`,
);

interface History {
  readonly data: string;
  readonly lsnStart: string;
  readonly lsnEnd: string;
  readonly records: number;
  readonly changedPages: number;
  readonly layerBytes: number;
}

/** An export at the end of an import, which needs no redo, against one after a workload on 30 % of the pages. */
export async function runHistory(options: BenchOptions): Promise<string> {
  const place = 'history';
  const history = await makeHistory(options, place);
  const bytes = diskUsage(path.join(history.data, 'base'));
  const results = { start: [] as Measurement[], end: [] as Measurement[] };
  removeAll(options, `${place}-restored`);
  mkdirSync(path.join(options.directory, `${place}-restored`));
  own(options, path.join(options.directory, `${place}-restored`));
  for (let round = 0; round < options.rounds; round++) {
    for (const at of ['start', 'end'] as const) {
      settle();
      const args = [
        'export',
        `--storage_dest=${place}/bucket`,
        `--snapshot_path=${place}-restored/${at}-${round}`,
        '--snapshot_format=pgdata',
        `--lsn=${at === 'start' ? history.lsnStart : history.lsnEnd}`,
      ];
      results[at].push(await measure(neon(options, args)));
    }
  }
  removeAll(options, `${place}-restored`);
  const share = (100 * history.changedPages * 8192) / bytes;
  const facts = `${history.changedPages} pages (${share.toFixed(0)} %) from ${history.records} records, ${(history.layerBytes / 1e6).toFixed(0)} MB of delta layers`;
  const [start, end] = [bestOf(results.start), bestOf(results.end)];
  const cpu = `${(end.cpuSeconds / start.cpuSeconds).toFixed(2)}× in CPU time`;
  const title = `Export at an LSN, ${(bytes / 1e6).toFixed(0)} MB, best of ${options.rounds} rounds, load ${loadavg().map(Math.round).join(', ')}`;
  return formatRows(title, bytes, [
    { name: 'neon export where the import ended', median: start, note: 'no redo' },
    { name: 'neon export after the workload', median: end, note: `${cpu}; ${facts}` },
  ]);
}

/** The cluster, its import, and the WAL of the workload after it as delta layers; made once. */
async function makeHistory(options: BenchOptions, place: string): Promise<History> {
  const directory = path.join(options.directory, place);
  const done = path.join(directory, 'history.json');
  // Ours to parse: written below.
  if (existsSync(done)) return JSON.parse(readFileSync(done, 'utf8')) as History;
  mkdirSync(directory, { recursive: true });
  own(options, directory);
  const cluster = { directory, user: options.user };
  const data = makeCluster({ ...cluster, scale: SCALE, mixedRows: 1000 });
  const bucket = path.join(directory, 'bucket');
  const from = [`--snapshot_path=${data}`, '--snapshot_format=pgdata', `--storage_dest=${bucket}`];
  await measure(neon(options, ['init', '-D', place, ...from]));
  startServer(cluster, data, SETTINGS);
  try {
    for (const statement of WORK) sql(cluster, statement);
  } finally {
    stopServer(cluster, data);
  }
  const appended = await appendWal(bucket, data);
  if (options.user !== undefined) {
    execFileSync('chown', ['-R', `${options.user.uid}:${options.user.gid}`, bucket]);
  }
  const { records, changedPages, layerBytes, lsnStart, lsnEnd } = appended;
  const history = {
    data,
    lsnStart: formatLsn(lsnStart),
    lsnEnd: formatLsn(lsnEnd),
    records,
    changedPages,
    layerBytes,
  };
  writeFileSync(done, JSON.stringify(history));
  return history;
}
