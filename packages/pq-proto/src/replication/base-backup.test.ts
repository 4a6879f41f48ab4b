import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  findPostgres,
  type PostgresServer,
  startPostgres,
  tableChecksums,
} from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPq } from '../client/connect-pq.ts';
import type { PqConnection } from '../client/pq-connection.ts';
import { type Cluster, makeCluster } from '../testing/cluster.ts';
import type { BaseBackup } from './base-backup.ts';

function connectTo(server: PostgresServer): Promise<PqConnection> {
  return connectPq({
    host: server.socketDirectory,
    port: server.port,
    user: 'postgres',
    replication: 'physical',
  });
}

interface Taken {
  readonly archives: ReadonlyMap<string, { readonly bytes: Buffer; readonly location: string | undefined }>;
  readonly manifest: Buffer;
}

async function take(backup: BaseBackup): Promise<Taken> {
  const archives = new Map<string, { readonly bytes: Buffer; readonly location: string | undefined }>();
  let manifest = Buffer.alloc(0);
  for await (const part of backup.parts()) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of part.data) chunks.push(Buffer.from(chunk));
    if (part.kind === 'manifest') manifest = Buffer.concat(chunks);
    else archives.set(part.name, { bytes: Buffer.concat(chunks), location: part.location });
  }
  return { archives, manifest };
}

/** Unpacks with the machine's tar into a data directory whose tablespaces lie beside it. */
async function unpack(taken: Taken, cluster: Cluster, directory: string): Promise<string> {
  const target = join(cluster.directory, directory);
  await mkdir(target);
  for (const [name, { bytes, location }] of taken.archives) {
    const place = location === undefined ? join(target, 'data') : join(target, name);
    await mkdir(place);
    execFileSync('tar', ['-x', '-C', place, '-f', '-'], { input: bytes });
    if (location !== undefined) {
      const map = join(target, 'map');
      await writeFile(map, `${name.replace('.tar', '')} ${place}\n`, { flag: 'a' });
    }
  }
  const data = join(target, 'data');
  await writeFile(join(data, 'tablespace_map'), await readFile(join(target, 'map')).catch(() => ''));
  const { uid, gid } = await stat(cluster.dataDirectory);
  execFileSync('chown', ['-R', `${uid}:${gid}`, target]);
  await chmod(data, 0o700);
  await chmod(target, 0o755);
  return data;
}

describe.each([14, 15, 16, 17, 18] as const)('Postgres %i', (major) => {
  let cluster: Cluster;
  let server: PostgresServer;

  beforeAll(async () => {
    cluster = await makeCluster(major, { dataChecksums: true });
    server = await startPostgres({ ...cluster, settings: major >= 17 ? { summarize_wal: true } : {} });
    const space = join(cluster.directory, 'space 1');
    await mkdir(space, { mode: 0o700 });
    const { uid, gid } = await stat(cluster.dataDirectory);
    await chown(space, uid, gid);
    await server.query(`CREATE TABLESPACE s LOCATION '${space}'`);
    await server.query(`CREATE TABLE a AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i;
      CREATE TABLE b TABLESPACE s AS SELECT * FROM a`);
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test('a backup with its WAL unpacks to a cluster that recovers to the same tables', async () => {
    await using connection = await connectTo(server);
    let progress = 0n;
    const backup = await connection.baseBackup({
      label: "it's a label",
      checkpoint: 'fast',
      wal: true,
      progress: true,
      manifestChecksums: 'SHA256',
      onProgress: (bytes) => {
        progress = bytes;
      },
    });
    expect(backup.tablespaces.at(-1)).toMatchObject({ oid: undefined, location: undefined });
    expect(backup.tablespaces[0]).toMatchObject({ location: join(cluster.directory, 'space 1') });
    expect(backup.tablespaces.every(({ sizeKiB }) => (sizeKiB ?? 0n) > 0n)).toBe(true);
    const taken = await take(backup);
    const end = await backup.finish();
    expect(end.timeLineId).toBe(1);
    expect(end.lsn).toBeGreaterThan(backup.start.lsn);
    if (major >= 15) expect(progress).toBeGreaterThan(20_000_000n);
    expect(taken.manifest.toString()).toContain('"SHA256"');
    expect([...taken.archives.keys()].at(-1)).toBe('base.tar');
    expect(await connection.show('wal_level')).toBe('replica');
    const dataDirectory = await unpack(taken, cluster, 'restored');
    expect(await readFile(join(dataDirectory, 'backup_label'), 'utf8')).toContain("LABEL: it's a label");
    await using restored = await startPostgres({ ...cluster, dataDirectory });
    expect(await tableChecksums(restored)).toEqual(await tableChecksums(server));
  });

  test('parts that nobody reads are read over, and what is not finished ends the connection', async () => {
    await using connection = await connectTo(server);
    const backup = await connection.baseBackup({ checkpoint: 'fast', manifest: 'no' });
    for await (const part of backup.parts()) {
      expect(part.kind).toBe('archive');
      for await (const _chunk of part.data) break;
    }
    expect((await backup.finish()).lsn).toBeGreaterThan(0n);
    {
      await using abandoned = await connection.baseBackup({ checkpoint: 'fast' });
      for await (const _part of abandoned.parts()) break;
    }
    await expect(connection.identifySystem()).rejects.toMatchObject({ code: 'PQ_CLOSED' });
  });

  test('what the major lacks is refused before anything is sent', async () => {
    await using connection = await connectTo(server);
    if (major < 15)
      await expect(connection.baseBackup({ compression: 'gzip' })).rejects.toMatchObject({
        code: 'PQ_UNSUPPORTED',
      });
    if (major < 17)
      await expect(connection.baseBackup({ incrementalTo: Buffer.alloc(0) })).rejects.toMatchObject({
        code: 'PQ_UNSUPPORTED',
      });
    await expect(connection.baseBackup({ label: 'a\nb' })).rejects.toMatchObject({
      code: 'PQ_INVALID_ARGUMENT',
    });
    await expect(connection.baseBackup({ maxRateKiB: 1 })).rejects.toMatchObject({
      code: 'PQ_INVALID_ARGUMENT',
    });
  });

  test('an abort in the middle ends it', async () => {
    await using connection = await connectTo(server);
    const abort = new AbortController();
    const backup = await connection.baseBackup({
      checkpoint: 'fast',
      maxRateKiB: 1024,
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(), 100);
    await expect(take(backup)).rejects.toMatchObject({ code: 'PQ_ABORTED' });
  });

  test('a bad page fails the backup at its end, with all bytes sent', async () => {
    const [row] = await server.query(`CHECKPOINT; SELECT pg_relation_filepath('a') AS path`);
    const path = join(cluster.dataDirectory, row?.path ?? '');
    const whole = await readFile(path);
    const broken = Buffer.from(whole);
    broken.fill(0x55, 8192 + 100, 8192 + 120);
    await writeFile(path, broken);
    try {
      await using connection = await connectTo(server);
      const backup = await connection.baseBackup({ checkpoint: 'fast' });
      await take(backup);
      await expect(backup.finish()).rejects.toMatchObject({ code: 'PQ_SERVER', sqlState: 'XX001' });
      expect((await connection.identifySystem()).timeLineId).toBe(1);
    } finally {
      await writeFile(path, whole);
    }
  });

  test.runIf(major >= 17)('an incremental backup is made against the manifest that is uploaded', async () => {
    await using connection = await connectTo(server);
    const full = await connection.baseBackup({ checkpoint: 'fast' });
    const { manifest } = await take(full);
    await full.finish();
    await server.query('UPDATE a SET md5 = i::text WHERE i < 100');
    const incremental = await connection.baseBackup({ checkpoint: 'fast', incrementalTo: manifest });
    const taken = await take(incremental);
    await incremental.finish();
    expect(taken.manifest.toString()).toContain('INCREMENTAL.');
    expect(taken.archives.get('base.tar')?.bytes.length).toBeLessThan(20_000_000);
    await expect(connection.baseBackup({ incrementalTo: Buffer.from('{}') })).rejects.toMatchObject({
      code: 'PQ_SERVER',
    });
  });
});

const debian = await findPostgres({ major: 15, prefer: 'system' }).catch(() => undefined);

const hasDebian = debian?.binDirectory.startsWith('/usr/lib/postgresql') === true;

test.runIf(hasDebian || process.env.CI === 'true')(
  "archives compressed by the server carry its suffix (Debian's build of 15; npm's has gzip only)",
  async () => {
    if (debian === undefined) throw new Error("Debian's Postgres 15 is not installed");
    await using cluster = await makeCluster(15);
    await using server = await startPostgres({ ...cluster, installation: debian });
    await using connection = await connectTo(server);
    const backup = await connection.baseBackup({
      checkpoint: 'fast',
      compression: 'zstd',
      compressionDetail: 'level=1',
    });
    const taken = await take(backup);
    await backup.finish();
    expect([...taken.archives.keys()]).toEqual(['base.tar.zst']);
    expect(taken.archives.get('base.tar.zst')?.bytes.readUInt32LE(0)).toBe(0xfd2fb528);
  },
);
