import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { connect } from './testing/commit-load.ts';
import { makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { neonFailure } from './testing/neon-failure.ts';
import { runNeon } from './testing/running-neon.ts';

/** Neon's page server program; it is not to be had from a package registry. */
const PROGRAM = process.env.NEON_PAGESERVER_BIN ?? '';
const NOTE = existsSync(PROGRAM) ? '' : ' [skipped: NEON_PAGESERVER_BIN names no page server]';

describe.runIf(existsSync(PROGRAM))(`neon start --engine=neon${NOTE}`, { timeout: 180_000 }, () => {
  it.each(['14', '17'])('serves what our page server ingested from Postgres %s', async (major) => {
    await using scratch = await makeScratchDirectory();
    const directory = path.join(scratch.path, 'machine');
    await mkdir(directory);
    const url = path.join(scratch.path, 'bucket');
    await using running = runNeon({ directory, flags: [`--storage_dest=${url}`] });
    const { connectionString } = await running.start([`--pg_version=${major}`]);
    const client = await connect(connectionString);
    await client.query('CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 5000) g');
    await client.query(
      'CREATE INDEX ON t (md5); DELETE FROM t WHERE g % 3 = 0; UPDATE t SET g = -g WHERE g % 5 = 0',
    );
    await client.end();
    await running.kill({ pageServer: true, postgres: true });
    const refused = await neonFailure([
      'start',
      '-D',
      directory,
      '--engine=neon',
      `--pageserver_bin=${PROGRAM}`,
    ]);
    expect(refused).toMatchObject({ code: 'CLI_RAW_WAL_AHEAD' });
    expect(refused.message).toContain('neon storage flush');
    await running.command(['storage', 'flush']);
    await running.command(['start', '--engine=neon', `--pageserver_bin=${PROGRAM}`]);
    const { pageserver, timelines } = await running.status();
    expect(pageserver).toMatchObject({ running: true, engine: 'neon' });
    expect(timelines).toMatchObject([{ failure: null, lagBytes: 0 }]);
    const { stdout } = await neon(['stop', '-D', directory, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ pageserver: 'clean' });
    // What it wrote is ours to go on with.
    const again = await running.start(['--take_over']);
    const reader = await connect(again.connectionString);
    const { rows } = await reader.query<{ n: string; s: string }>('SELECT count(*) AS n, sum(g) AS s FROM t');
    await reader.end();
    expect(rows).toEqual([{ n: '3334', s: '4999997' }]);
  });
});
