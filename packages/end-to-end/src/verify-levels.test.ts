import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { BLCKSZ } from '@neon-snapshot/postgres';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { keepBusy } from './testing/busy-server.ts';
import { flipping, rewrite } from './testing/damage.ts';
import { swapEntries } from './testing/damaged-index.ts';
import { makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';

const ALL: readonly number[] = [14, 15, 16, 17, 18];
const isCi = process.env.CI !== undefined;
const LEVELS = ['meta', 'hash', 'pages', 'restore'];

interface Verified {
  readonly exitCode: number;
  readonly sound: boolean;
  readonly warnings: number;
  readonly findings: readonly { readonly code: string; readonly path?: string; readonly message: string }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly restored?: Readonly<Record<string, unknown>> | null;
}

async function verify(place: string, level: string): Promise<Verified> {
  const words = ['snapshot', 'verify', `--snapshot_path=${place}`, `--level=${level}`, '--json'];
  const { stdout, code } = await neon(words).then(
    (result) => ({ stdout: result.stdout, code: 0 }),
    (error: { readonly stdout: string; readonly code: number }) => error,
  );
  return { ...JSON.parse(stdout), exitCode: code };
}

/** Starts several servers a major: CI alone. */
describe.each(isCi ? ALL : [])('neon snapshot verify, Postgres %i', (major) => {
  it('finds nothing wrong with a sound directory, its tars, and a busy server, at any level', {
    timeout: 600_000,
  }, async () => {
    await using scratch = await makeScratchDirectory();
    const at = (name: string) => path.join(scratch.path, name);
    const tablespaceDirectory = at('away');
    await using cluster = await makeTestCluster({ major, dataChecksums: true, tablespaceDirectory });
    const { dataDirectory, installation } = cluster;
    const to = [`--to=${at('tars')}`, '--to_format=basebackup'];
    await neon(['snapshot', 'copy', `--from=${dataDirectory}`, ...to]);
    for (const level of LEVELS)
      for (const place of [dataDirectory, at('tars')])
        expect(await verify(place, level), `${place} ${level}`).toMatchObject({ exitCode: 0, sound: true });
    await using server = await startPostgres({ installation, dataDirectory });
    const load = await keepBusy(server);
    await load.warm;
    const place = `host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
    for (const level of LEVELS)
      expect(await verify(place, level), `server ${level}`).toMatchObject({ exitCode: 0, findings: [] });
    await load.stop();
    expect(await server.query('SELECT slot_name FROM pg_replication_slots')).toEqual([]);
  });
});

describe.each(isCi ? ALL : [18])('neon snapshot verify of damaged input, Postgres %i', (major) => {
  it('finds one bit of a page in a tar', { timeout: 300_000 }, async () => {
    await using scratch = await makeScratchDirectory();
    const tars = path.join(scratch.path, 'tars');
    await using cluster = await makeTestCluster({ major, dataChecksums: true });
    const from = `--from=${cluster.dataDirectory}`;
    const options = ['--to_format=basebackup', '--format_option=compression=none'];
    await neon(['snapshot', 'copy', from, `--to=${tars}`, ...options]);
    const file = 'base/1/1255';
    const base = path.join(tars, 'base.tar');
    const start = (await readFile(base)).indexOf(`${file}\0`);
    await rewrite(base, flipping(start + 512 + 2 * BLCKSZ + 5000, 0x10));
    const found = { exitCode: 3, sound: false };
    const hashed = { code: 'FILE_CHECKSUM', path: file };
    const page = { code: 'PAGE_CHECKSUM', path: file, message: expect.stringContaining('block 2 of') };
    expect(await verify(tars, 'hash')).toMatchObject({ ...found, findings: [hashed] });
    expect(await verify(tars, 'pages')).toMatchObject({ ...found, findings: [page, hashed] });
  });

  it.runIf(isCi)('finds by amcheck alone an index in the wrong order', { timeout: 600_000 }, async () => {
    await using scratch = await makeScratchDirectory();
    const tars = path.join(scratch.path, 'tars');
    await using cluster = await makeTestCluster({ major, dataChecksums: true });
    const { dataDirectory, installation } = cluster;
    const indexes = [
      { index: 'items_pkey', block: 1 },
      ...(major === 18 ? [{ index: 'items_facts_gin', block: 1 }] : []),
    ];
    for (const each of indexes) await swapEntries({ dataDirectory, installation, ...each });
    await neon(['snapshot', 'copy', `--from=${dataDirectory}`, `--to=${tars}`, '--to_format=basebackup']);
    expect(await verify(tars, 'pages')).toMatchObject({ exitCode: 0, sound: true });
    const { findings, exitCode } = await verify(tars, 'restore');
    expect(exitCode).toBe(3);
    expect(findings.map(({ code, path: where }) => `${code} ${where}`)).toEqual(
      indexes.map(({ index }) => `AMCHECK postgres: public.${index}`),
    );
    await using server = await startPostgres({ installation, dataDirectory });
    const place = `host=${server.socketDirectory} port=${server.port} user=${server.superuser}`;
    expect((await verify(place, 'restore')).findings.map(({ path: where }) => where)).toContain(
      'postgres: public.items_pkey',
    );
  });
});
