import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyBucket } from './soak/verify-bucket.ts';
import { untilCaughtUp } from './testing/caught-up.ts';
import {
  type CommitLoad,
  countAcknowledged,
  findLostCommits,
  prepareLoad,
  startLoad,
} from './testing/commit-load.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { type RunningNeon, runNeon } from './testing/running-neon.ts';

const TIMEOUT = { timeout: 400_000 } as const;
const CLIENTS = 4;
const LOAD_MS = 500;
/** Long enough for many commits, and for those that were under way to come back. */
const ALONE_MS = 1500;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

async function open(durability: 'local' | 'remote'): Promise<RunningNeon> {
  const directory = path.join(scratch.path, 'machine');
  await mkdir(directory);
  return runNeon({
    directory,
    flags: [`--storage_dest=${path.join(scratch.path, 'bucket')}`, `--durability=${durability}`],
  });
}

async function untilMore(load: CommitLoad): Promise<void> {
  for (const before = countAcknowledged(load); countAcknowledged(load) === before; ) await sleep(50);
}

/** A machine of which nothing is left but the bucket has all commits. */
async function expectNothingLost(running: RunningNeon, load: CommitLoad): Promise<void> {
  await running.loseMachine();
  const { connectionString } = await running.start();
  expect(await findLostCommits(connectionString, load)).toEqual([]);
  const place = {
    url: path.join(scratch.path, 'bucket'),
    env: {},
    [Symbol.asyncDispose]: async () => undefined,
  };
  expect(await verifyBucket(place, scratch.path)).toEqual([]);
}

describe('a page server that is killed alone', TIMEOUT, () => {
  it.runIf(process.env.CI !== undefined)(
    'leaves Postgres at work with --durability=local; status says so, and neon start brings it back to that Postgres',
    async () => {
      await using running = await open('local');
      const { connectionString } = await running.start();
      await prepareLoad(connectionString);
      const load = await startLoad(connectionString, CLIENTS);
      await sleep(LOAD_MS);
      const before = await running.status();
      await running.kill({ pageServer: true });
      await untilMore(load);
      const { stdout } = await neon(['status', '-D', running.directory]);
      expect(stdout).toMatch(/page server +not running; the last one, pid \d+, ended without a proper stop/);
      expect((await running.status()).endpoints).toEqual(before.endpoints);
      const again = await running.start();
      expect(again).toMatchObject({ reused: true, connectionString });
      expect((await running.status()).endpoints).toEqual(before.endpoints);
      await untilMore(load);
      await load.stop();
      await untilCaughtUp(running, connectionString);
      await expectNothingLost(running, load);
    },
  );

  it('lets commits wait with --durability=remote until neon start brings it back', async () => {
    await using running = await open('remote');
    const { connectionString } = await running.start();
    await prepareLoad(connectionString);
    const load = await startLoad(connectionString, CLIENTS);
    await sleep(LOAD_MS);
    await running.kill({ pageServer: true });
    const before = countAcknowledged(load);
    await sleep(ALONE_MS);
    expect(countAcknowledged(load)).toBe(before);
    expect(await running.start()).toMatchObject({ reused: true, connectionString });
    await untilMore(load);
    await running.killAll();
    await load.stop();
    await expectNothingLost(running, load);
  });
});

describe('a Postgres that is killed', TIMEOUT, () => {
  // CI takes both.
  it.each([
    ...(process.env.CI === undefined ? [] : [{ what: 'alone', pageServer: false }]),
    { what: 'with the page server', pageServer: true },
  ])(
    '$what is started again on its own data directory with every acknowledged commit',
    async ({ pageServer }) => {
      await using running = await open('local');
      const { connectionString } = await running.start();
      await prepareLoad(connectionString);
      const load = await startLoad(connectionString, CLIENTS);
      await sleep(LOAD_MS);
      await running.kill({ postgres: true, pageServer });
      await load.stop();
      const { stdout } = await neon(['status', '-D', running.directory]);
      expect(stdout).toMatch(/endpoint +main, stopped/);
      const again = await running.start();
      expect(again.reused).toBe(true);
      expect(await findLostCommits(again.connectionString, load)).toEqual([]);
      await untilCaughtUp(running, again.connectionString);
      await expectNothingLost(running, load);
    },
  );
});
