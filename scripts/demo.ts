// `npm start`: the main job once, on real programs. A cluster with data → Neon layers on file storage → a data directory
// → stock Postgres, and the row checksums of both.
import { execFileSync } from 'node:child_process';
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

const directory = await mkdtemp(path.join(tmpdir(), 'neon-demo-'));
try {
  // The unprivileged user that Postgres runs as must be able to pass through.
  await chmod(directory, 0o755);
  await demo(await findPostgres({ major: MAJOR }));
} finally {
  await rm(directory, { recursive: true, force: true });
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
  await using server = await startPostgres({ installation, dataDirectory: restored });
  const after = await tableChecksums(server);
  const [row] = await server.query('SELECT count(*) AS n, sum(amount) AS s FROM orders');
  console.log(`  orders: ${row?.n} rows, sum ${row?.s}`);
  for (const [name, checksum] of Object.entries(before.postgres?.tables ?? {})) {
    console.log(`  ${name}: ${checksum} before, ${after.postgres?.tables[name]} after`);
  }
  if (!isDeepStrictEqual(before, after)) throw new Error('the checksums differ');
  console.log('\nEvery row checksum is equal. Next: npm run -s neon -- --help');
}

async function fill(
  installation: PostgresInstallation,
  dataDirectory: string,
): ReturnType<typeof tableChecksums> {
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
