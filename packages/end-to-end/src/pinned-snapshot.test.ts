import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { endpointServer } from './testing/endpoint-server.ts';
import { filesBelow } from './testing/files-below.ts';
import { neonFailure } from './testing/neon-failure.ts';
import { type RunningNeon, runNeon } from './testing/running-neon.ts';

/** How far back history goes: what is older than this is garbage. */
const PITR_MS = 1000;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

/** SHA-256 of every file of a directory, by path; but of the manifest, which has the times of files. */
async function digests(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const file of (await filesBelow(directory)).sort()) {
    if (file === 'backup_manifest') continue;
    const bytes = await readFile(path.join(directory, file));
    found[file] = createHash('sha256').update(bytes).digest('hex');
  }
  return found;
}

/** Layers for all that is there, images of it, and no history but the last second's: twice, since objects go a while after they were noted. */
async function collect(running: RunningNeon): Promise<void> {
  const { pageserver, tenantId, timelineId } = await running.status();
  const timeline = `http://127.0.0.1:${pageserver.httpPort}/v1/tenant/${tenantId}/timeline/${timelineId}`;
  const put = async (what: string, body?: object) => {
    const sent = body === undefined ? null : JSON.stringify(body);
    const answer = await fetch(`${timeline}/${what}`, { method: 'PUT', body: sent });
    expect(answer.status, `${what}: ${await answer.text()}`).toBe(200);
  };
  for (let round = 0; round < 2; round++) {
    await put('checkpoint');
    await put('compact?force_l0_compaction=true&force_image_layer_creation=true');
    await sleep(2 * PITR_MS);
    await put('do_gc', { gc_horizon: 0 });
  }
}

const isWide = process.env.CI !== undefined;
const NOTE = isWide ? '' : ' [in CI only: it takes a minute]';

it.runIf(isWide)(
  `a named snapshot is exported as it was, long after garbage collection went past it; another LSN there is not${NOTE}`,
  {
    timeout: 1_200_000,
  },
  async () => {
    const directory = path.join(scratch.path, 'machine');
    await mkdir(directory);
    const flags = [
      `--storage_dest=${path.join(scratch.path, 'bucket')}`,
      `--pitr_interval=${PITR_MS / 1000}s`,
      `--gc_grace=${PITR_MS / 1000}s`,
    ];
    await using running = runNeon({ directory, flags });
    const { connectionString } = await running.start();
    const server = endpointServer(connectionString);
    await server.query('create table t as select g, md5(g::text) m from generate_series(1, 20000) g');
    const { lsn } = await running.command(['snapshot', 'create', 'kept']);
    const before = path.join(scratch.path, 'before');
    await running.command(['export', `--lsn=${String(lsn)}`, `--snapshot_path=${before}`]);
    await server.query('update t set m = md5(m)');
    const { lsn: unnamed } = await running.command(['snapshot', 'create', 'passing']);
    await running.command(['snapshot', 'rm', 'passing']);
    await sleep(2 * PITR_MS);
    await server.query('update t set m = md5(m)');
    await server.query('vacuum full t');
    await sleep(2 * PITR_MS);
    await server.query('create table later ()');
    await collect(running);
    const refused = [`--lsn=${String(unnamed)}`, `--snapshot_path=${path.join(scratch.path, 'refused')}`];
    expect(await neonFailure(['export', '-D', directory, ...refused])).toMatchObject({
      code: 'FORMAT_LSN_OUT_OF_RANGE',
    });
    const expected = await digests(before);
    expect(Object.keys(expected).length).toBeGreaterThan(500);
    for (const [index, flag] of ['--snapshot=kept', `--lsn=${String(lsn)}`].entries()) {
      const after = path.join(scratch.path, `after-${index}`);
      await running.command(['export', flag, `--snapshot_path=${after}`]);
      expect(await digests(after)).toEqual(expected);
    }
    await running.command(['branch', 'create', 'from-kept', `--lsn=${String(lsn)}`]);
    expect(
      await neonFailure(['branch', 'create', 'from-unnamed', `--lsn=${String(unnamed)}`, '-D', directory]),
    ).toMatchObject({ message: expect.stringContaining('no history before') });
    expect(
      await neonFailure(['snapshot', 'create', 'too-late', `--lsn=${String(unnamed)}`, '-D', directory]),
    ).toMatchObject({ code: 'CLI_LSN_COLLECTED' });
  },
);
