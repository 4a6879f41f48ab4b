/**
 * Captures fixtures/pg<major>.json from real servers: bytes of files, and what the server itself says they hold.
 * Run with: node scripts/capture-fixtures.ts [major …]; psql and pg_basebackup 15 have to be on the PATH.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { ScratchServer } from '../src/testing/scratch-server.ts';

const MAJORS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [14, 15, 16, 17, 18];
const WAL_MESSAGE_BYTES = 1_300_000;

for (const major of MAJORS) {
  const server = await ScratchServer.create(major);
  try {
    const fixture = await capture(server, major);
    const target = new URL(`../fixtures/pg${major}.json`, import.meta.url);
    await writeFile(target, `${JSON.stringify(fixture, undefined, 1)}\n`);
    console.log(`pg${major}: ${JSON.stringify(fixture).length} characters`);
  } finally {
    await server.remove();
  }
}

async function capture(server: ScratchServer, major: number): Promise<object> {
  await server.start();
  await makeTable(server);
  const version = (await server.sql('SELECT version()')).trim();
  const wal = await captureWal(server, major);
  await server.stop();
  const stoppedControlFile = await readBase64(server, 'global/pg_control');
  await server.start();
  const running = {
    controlFile: await captureControlFile(server),
    pages: await capturePages(server),
    relationMap: await captureRelationMap(server),
    backup: await captureBackup(server, major),
  };
  await server.stop();
  const timelineHistory = await captureTimelines(server);
  return {
    provenance: `${version}; initdb --data-checksums --wal-segsize=1 --locale=C; scripts/capture-fixtures.ts`,
    stoppedControlFile,
    ...running,
    wal,
    timelineHistory,
  };
}

async function makeTable(server: ScratchServer): Promise<void> {
  await server.sql('CREATE EXTENSION pageinspect');
  await server.sql('CREATE TABLE item (id int PRIMARY KEY, body text)');
  await server.sql(`INSERT INTO item SELECT n, repeat('x', n % 50) FROM generate_series(1, 2000) n`);
  await server.sql('VACUUM (FREEZE) item');
  await server.sql('CHECKPOINT');
}

/** Segments with short and long records, compressed page images, a message over three segments, and a checkpoint. */
async function captureWal(server: ScratchServer, major: number): Promise<object> {
  await server.sql('SELECT pg_switch_wal()');
  const start = (await server.sql('SELECT pg_current_wal_insert_lsn()')).trim();
  await server.sql(
    'BEGIN; INSERT INTO item VALUES (5001); SAVEPOINT a; UPDATE item SET body = body WHERE id < 20; COMMIT',
  );
  await server.sql(`SELECT pg_logical_emit_message(true, 'fixture', repeat('m', ${WAL_MESSAGE_BYTES}))`);
  await server.sql('DELETE FROM item WHERE id % 100 = 0');
  await server.sql('CHECKPOINT');
  await server.sql('INSERT INTO item VALUES (5002)');
  const end = (await server.sql('SELECT pg_current_wal_insert_lsn()')).trim();
  const name = `pg_walfile_name('${start}'::pg_lsn + 1)`;
  const first = (await server.sql(`SELECT ${name}`)).trim();
  const records = major >= 15 ? await captureRecords(server, start, end) : undefined;
  await server.sql('SELECT pg_switch_wal()');
  const names = (await readdir(join(server.dataDirectory, 'pg_wal'))).filter(
    (f) => /^[0-9A-F]{24}$/.test(f) && f >= first,
  );
  const last = (await server.sql(`SELECT pg_walfile_name('${end}')`)).trim();
  const segments = [];
  for (const fileName of names.filter((f) => f <= last).sort()) {
    const bytes = await readFile(join(server.dataDirectory, 'pg_wal', fileName));
    segments.push({ fileName, deflated: deflate(bytes) });
  }
  return { start, end, segments, records };
}

async function captureRecords(server: ScratchServer, start: string, end: string): Promise<unknown> {
  await server.sql('CREATE EXTENSION pg_walinspect');
  const columns =
    'start_lsn, end_lsn, prev_lsn, xid, resource_manager, record_length, main_data_length, fpi_length';
  const rows = await server.sql(
    `SELECT jsonb_agg(r ORDER BY start_lsn) FROM (SELECT ${columns} FROM pg_get_wal_records_info('${start}', '${end}')) r`,
  );
  return JSON.parse(rows);
}

async function captureControlFile(server: ScratchServer): Promise<object> {
  const functions = ['system', 'checkpoint', 'recovery', 'init'].map(
    (part) => `to_jsonb(pg_control_${part}())`,
  );
  const row = await server.sql(
    `SELECT jsonb_build_object('bytes', encode(substr(pg_read_binary_file('global/pg_control'), 1, 300), 'hex'),
       'facts', ${functions.join(' || ')} || jsonb_build_object('system_identifier', (pg_control_system()).system_identifier::text))`,
  );
  return JSON.parse(row);
}

async function capturePages(server: ScratchServer): Promise<unknown> {
  const forks = [
    ['item', 'main', 0],
    ['item', 'main', 3],
    ['item', 'fsm', 0],
    ['item', 'vm', 0],
    ['item_pkey', 'main', 1],
  ] as const;
  const pages = [];
  for (const [relation, fork, block] of forks) {
    const row = await server.sql(
      `SELECT jsonb_build_object('hex', encode(page, 'hex'), 'header', to_jsonb(page_header(page)),
         'checksum', page_checksum(page, ${block})) FROM get_raw_page('${relation}', '${fork}', ${block}) page`,
    );
    const { hex, ...facts } = JSON.parse(row);
    pages.push({ relation, fork, block, ...facts, deflated: deflate(Buffer.from(hex, 'hex')) });
  }
  return pages;
}

async function captureRelationMap(server: ScratchServer): Promise<object> {
  const entries = await server.sql(
    `SELECT jsonb_agg(jsonb_build_object('oid', oid::int, 'relNode', pg_relation_filenode(oid)::int) ORDER BY oid)
       FROM pg_class WHERE relisshared AND relfilenode = 0 AND relkind IN ('r', 'i', 't')`,
  );
  const bytes = await readBase64(server, 'global/pg_filenode.map');
  return { bytes, entries: JSON.parse(entries) };
}

/** `backup_label`, `tablespace_map` and `backup_manifest` of a base backup of a cluster with two tablespaces. */
async function captureBackup(server: ScratchServer, major: number): Promise<object> {
  const odd = join(server.directory, 'a space\\and backslash');
  const target = join(server.directory, 'backup');
  await server.exec('mkdir', [odd, join(server.directory, 'plain')]);
  await server.sql(`CREATE TABLESPACE odd LOCATION '${odd}'`);
  await server.sql(`CREATE TABLESPACE plain LOCATION '${join(server.directory, 'plain')}'`);
  if (major < 15) {
    const options = ['-Ft', '-X', 'none', '-c', 'fast', '-l', 'fixture label', '--no-sync', '-U', 'postgres'];
    await server.exec('pg_basebackup', ['-h', server.directory, '-D', target, ...options]);
  } else {
    const options = `LABEL 'fixture label', CHECKPOINT 'fast', TABLESPACE_MAP, MANIFEST 'yes', WAIT false`;
    const command = `BASE_BACKUP (${options}, TARGET 'server', TARGET_DETAIL '${target}')`;
    // psql stumbles over the result sets after the copy; a backup that is not whole has no manifest.
    await server.sql(command, 'replication=true').catch(() => undefined);
  }
  const member = (name: string) => server.exec('tar', ['-xOf', join(target, 'base.tar'), name]);
  return {
    label: await member('backup_label'),
    tablespaceMap: await member('tablespace_map'),
    manifestDeflated: deflate(await readFile(join(target, 'backup_manifest'))),
  };
}

/** Two recoveries without WAL, each of which begins a timeline. */
async function captureTimelines(server: ScratchServer): Promise<object> {
  const files: Record<string, string> = {};
  for (const name of ['00000002.history', '00000003.history']) {
    await server.exec('touch', [join(server.dataDirectory, 'recovery.signal')]);
    await server.start();
    await server.sql('SELECT 1');
    await server.stop();
    files[name] = await readFile(join(server.dataDirectory, 'pg_wal', name), 'utf8');
  }
  return files;
}

async function readBase64(server: ScratchServer, path: string): Promise<string> {
  const bytes = await readFile(join(server.dataDirectory, path));
  // The rest of pg_control is padding; say so here instead of storing it.
  if (path === 'global/pg_control' && bytes.subarray(300).some((byte) => byte !== 0))
    throw new Error('pg_control padding');
  return bytes.subarray(0, path === 'global/pg_control' ? 300 : bytes.length).toString('base64');
}

function deflate(bytes: Uint8Array): string {
  return deflateRawSync(bytes, { level: 9 }).toString('base64');
}
