// `npm start`: the main job once, on real programs. A cluster with data → Neon layers on file storage → a data directory
// → stock Postgres, and the row checksums of both; then a page server on that storage and a Postgres on it, which stay.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  findPostgres,
  initdb,
  type PostgresInstallation,
  startPostgres,
  tableChecksums,
} from '@neon-snapshot/postgres-process';

const MAJOR = 17;
const ROWS = 200_000;
const NEON = path.resolve('packages/cli/bin/neon.cjs');
const RUN = 'npm run -s neon --';

const directory = await mkdtemp(path.join(tmpdir(), 'neon-demo-'));
// In CI nobody looks at what stays.
let isKept = process.env.CI !== 'true';
try {
  // The unprivileged user that Postgres runs as must be able to pass through.
  await chmod(directory, 0o755);
  await demo(await findPostgres({ major: MAJOR }));
} catch (error) {
  isKept = false;
  throw error;
} finally {
  if (!isKept) {
    if (existsSync(path.join(directory, '.neon'))) neon('stop', '-D', directory);
    await rm(directory, { recursive: true, force: true });
  }
}

async function demo(installation: PostgresInstallation): Promise<void> {
  const source = path.join(directory, 'source');
  const bucket = path.join(directory, 'bucket');
  const restored = path.join(directory, 'restored');

  step(`a Postgres ${installation.version} cluster with ${ROWS.toLocaleString('en')} rows`);
  await initdb({ installation, dataDirectory: source, dataChecksums: true, sync: false });
  const before = await fill(installation, source);

  step('neon init: the stopped cluster into Neon layers on file storage');
  neon(
    'init',
    '-D',
    directory,
    `--snapshot_path=${source}`,
    '--snapshot_format=pgdata',
    `--storage_dest=${bucket}`,
  );

  step('neon export: the layers into a data directory');
  neon('export', '-D', directory, `--snapshot_path=${restored}`, '--snapshot_format=pgdata');

  step('stock Postgres on the exported directory');
  await compareWith(before, { installation, dataDirectory: restored });

  step('neon start: a page server on that storage, and a Postgres on it');
  neon('start', '-D', directory);
  const count = queryEndpoint('SELECT count(*) FROM orders');
  if (count !== undefined && count !== String(ROWS)) throw new Error(`the endpoint has ${count} orders`);
  console.log(`
Both run on. Every change goes to ${bucket} within a second.
  look     ${RUN} status -D ${directory}
  connect  psql '${connectionString()}'
  lose it  kill -9 both, rm -rf ${directory}/.neon, then ${RUN} start -D ${directory} --storage_dest=${bucket}
  stop     ${RUN} stop -D ${directory} && rm -rf ${directory}`);
}

type Checksums = Awaited<ReturnType<typeof tableChecksums>>;

async function compareWith(
  before: Checksums,
  place: { readonly installation: PostgresInstallation; readonly dataDirectory: string },
): Promise<void> {
  await using server = await startPostgres(place);
  const after = await tableChecksums(server);
  const [row] = await server.query('SELECT count(*) AS n, sum(amount) AS s FROM orders');
  console.log(`  orders: ${row?.n} rows, sum ${row?.s}`);
  for (const [name, checksum] of Object.entries(before.postgres?.tables ?? {})) {
    console.log(`  ${name}: ${checksum} before, ${after.postgres?.tables[name]} after`);
  }
  if (!isDeepStrictEqual(before, after)) throw new Error('the checksums differ');
  console.log('  Every row checksum is equal.');
}

function connectionString(): string {
  const text = execFileSync(process.execPath, [NEON, 'status', '-D', directory, '--json'], {
    encoding: 'utf8',
  });
  const status = JSON.parse(text) as { readonly endpoints: readonly { readonly connectionString: string }[] };
  return status.endpoints[0]?.connectionString ?? '';
}

/** Undefined where this machine has no psql. */
function queryEndpoint(sql: string): string | undefined {
  const answer = spawnSync('psql', ['-X', '-A', '-t', '-c', sql, connectionString()], { encoding: 'utf8' });
  if (answer.error !== undefined) return undefined;
  if (answer.status !== 0) throw new Error(answer.stderr);
  return answer.stdout.trim();
}

async function fill(installation: PostgresInstallation, dataDirectory: string): Promise<Checksums> {
  await using server = await startPostgres({ installation, dataDirectory, settings: { fsync: 'off' } });
  await server.query(`
    CREATE TABLE customers (id int PRIMARY KEY, name text, tags text[]);
    CREATE TABLE orders (id bigint PRIMARY KEY, customer int REFERENCES customers, amount numeric(12, 2), note text);
    INSERT INTO customers SELECT i, 'customer ' || i, ARRAY['t' || i % 7] FROM generate_series(1, 1000) i;
    INSERT INTO orders SELECT i, 1 + i % 1000, (i % 9973) / 7.0, md5(i::text) FROM generate_series(1, ${ROWS}) i;
    CREATE INDEX ON customers USING gin (tags);
    CREATE INDEX ON orders USING brin (amount)`);
  return await tableChecksums(server);
}

function neon(...args: readonly string[]): void {
  execFileSync(process.execPath, [NEON, ...args], { stdio: 'inherit' });
}

function step(text: string): void {
  console.log(`\n▸ ${text}`);
}
