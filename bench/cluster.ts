import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';

/** Debian's Postgres, since the tools we compare with need a full installation. */
export const BIN = '/usr/lib/postgresql/15/bin';

export interface BenchUser {
  readonly uid: number;
  readonly gid: number;
}

export interface ClusterOptions {
  readonly directory: string;
  readonly user: BenchUser | undefined;
  /** Scale of pgbench: about 15 MB each. */
  readonly scale: number;
  /** Rows of the mixed table: about 340 bytes each. */
  readonly mixedRows: number;
  /** Tables of one small page each, for the cost of many files. */
  readonly smallTables?: number;
}

/** Makes the cluster that is measured, stopped cleanly; an existing one is used again. */
export function makeCluster(options: ClusterOptions): string {
  const data = path.join(options.directory, 'pgdata');
  const done = path.join(options.directory, 'bench.done');
  if (existsSync(done)) return data;
  mkdirSync(options.directory, { recursive: true });
  run(options, 'initdb', [
    '-D',
    data,
    '-U',
    'postgres',
    '--data-checksums',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
  ]);
  startServer(options, data);
  try {
    run(options, 'createdb', [...connection(options), 'bench']);
    run(options, 'pgbench', [...connection(options), '-i', '-q', '-s', String(options.scale), 'bench']);
    sql(
      options,
      `CREATE TABLE mixed AS SELECT g AS id, md5(g::text) || md5((g * 7)::text) AS a, repeat(chr(97 + g % 26), g % 90) AS b,
         now() + g * interval '1 second' AS t, random() AS r, jsonb_build_object('k', g, 'v', md5(random()::text)) AS j
       FROM generate_series(1, ${options.mixedRows}) g`,
    );
    sql(
      options,
      'CREATE INDEX ON mixed (id); CREATE INDEX ON mixed USING gin (j); CREATE INDEX ON mixed (t)',
    );
    for (let done = 0; done < (options.smallTables ?? 0); done += 500) {
      sql(
        options,
        `DO $$ BEGIN FOR i IN ${done}..${done + 499} LOOP EXECUTE format('CREATE TABLE s%s AS SELECT %s AS x', i, i); END LOOP; END $$`,
      );
    }
    sql(options, 'VACUUM FREEZE');
  } finally {
    stopServer(options, data);
  }
  trimWal(options, data);
  run(options, 'touch', [done], 'touch');
  return data;
}

/**
 * Removes the WAL segments that Postgres keeps for use again. A backup of a stopped cluster by pgBackRest has them all, so that
 * hundreds of megabytes more would pass through it than through the others.
 */
export function trimWal(options: Pick<ClusterOptions, 'directory' | 'user'>, data: string): void {
  startServer(options, data, '-c max_wal_size=64MB -c min_wal_size=32MB');
  try {
    for (const statement of ['CHECKPOINT', 'SELECT pg_switch_wal()', 'CHECKPOINT']) {
      const args = ['-X', '-q', '-o', '/dev/null', '-d', 'postgres', '-c', statement];
      run(options, 'psql', [...connection(options), ...args]);
    }
  } finally {
    stopServer(options, data);
  }
}

export function startServer(
  options: Pick<ClusterOptions, 'directory' | 'user'>,
  data: string,
  walSize = '-c max_wal_size=4GB',
  fsync: 'on' | 'off' = 'off',
): void {
  const settings = `-c listen_addresses= -c unix_socket_directories=${options.directory} ${walSize} -c fsync=${fsync} -c max_locks_per_transaction=1000`;
  run(options, 'pg_ctl', [
    '-D',
    data,
    '-w',
    '-l',
    path.join(options.directory, 'server.log'),
    '-o',
    settings,
    'start',
  ]);
}

export function stopServer(options: Pick<ClusterOptions, 'directory' | 'user'>, data: string): void {
  run(options, 'pg_ctl', ['-D', data, '-w', '-m', 'fast', 'stop']);
}

export function connection(options: Pick<ClusterOptions, 'directory'>): string[] {
  return ['-h', options.directory, '-U', 'postgres'];
}

/** Runs a statement in the cluster's own database. */
export function sql(options: Pick<ClusterOptions, 'directory' | 'user'>, text: string): void {
  run(options, 'psql', [...connection(options), '-v', 'ON_ERROR_STOP=1', '-q', '-d', 'bench', '-c', text]);
}

function run(
  options: Pick<ClusterOptions, 'directory' | 'user'>,
  name: string,
  args: readonly string[],
  file = path.join(BIN, name),
): void {
  execFileSync(file, [...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    cwd: options.directory,
    ...options.user,
  });
}
