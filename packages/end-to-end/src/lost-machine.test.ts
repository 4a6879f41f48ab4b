import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeBucket, type TestBucket } from './testing/bucket.ts';
import { type CommitLoad, findLostCommits, prepareLoad, startLoad } from './testing/commit-load.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { type RunningNeon, runNeon } from './testing/running-neon.ts';

const TIMEOUT = { timeout: 300_000 } as const;
/** More of them: NEON_KILL_ROUNDS=50. */
const ROUNDS = Number(process.env.NEON_KILL_ROUNDS ?? 2);
const CLIENTS = 4;
const LOAD_MIN_MS = 300;
const LOAD_MAX_MS = 1500;
const PUSH_INTERVAL_MS = 1000;
/** A push that was on its way when the machine died; the storage here is a disk that others use too. */
const PUSH_DURATION_MAX_MS = 500;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

interface Place extends AsyncDisposable {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
}

const PLACES: readonly { readonly name: string; open(): Promise<Place> }[] = [
  {
    name: 'a directory',
    open: async () => ({
      url: path.join(scratch.path, 'bucket'),
      env: {},
      [Symbol.asyncDispose]: async () => undefined,
    }),
  },
  {
    name: 'S3',
    open: async (): Promise<TestBucket> => makeBucket(path.join(scratch.path, 's3')),
  },
];

async function open(place: Place, flags: readonly string[]): Promise<RunningNeon> {
  const directory = path.join(scratch.path, 'machine');
  await mkdir(directory);
  return runNeon({ directory, flags: [`--storage_dest=${place.url}`, ...flags], env: place.env });
}

/** Runs the load for a random time, then kills both processes in its midst. Returns when that was. */
async function killUnderLoad(running: RunningNeon, load: CommitLoad): Promise<number> {
  await sleep(LOAD_MIN_MS + Math.random() * (LOAD_MAX_MS - LOAD_MIN_MS));
  const { pageserver, endpoints } = await running.status();
  const pids = [pageserver.pid, ...endpoints.map((each) => each.pid)].filter((pid) => pid !== null);
  const killedAt = performance.now();
  for (const pid of Math.random() < 0.5 ? pids : pids.reverse()) process.kill(pid, 'SIGKILL');
  await load.ended;
  await running.kill({});
  return killedAt;
}

describe.each(PLACES)('a machine that is lost, its storage in $name', TIMEOUT, ({ open: openPlace }) => {
  it('had every acknowledged commit in storage with --durability=remote', async () => {
    await using place = await openPlace();
    await using running = await open(place, ['--durability=remote']);
    let { connectionString } = await running.start();
    await prepareLoad(connectionString);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const load = await startLoad(connectionString, CLIENTS);
      await killUnderLoad(running, load);
      await running.loseMachine();
      const again = await running.start();
      expect(again.reused).toBe(false);
      expect(await findLostCommits(again.connectionString, load)).toEqual([]);
      connectionString = again.connectionString;
    }
  });
});

describe('a machine that is lost with --durability=local', TIMEOUT, () => {
  it('takes no commit with it that is older than --push_interval', async () => {
    await using place = await (PLACES[0]?.open() ?? Promise.reject(new Error('no place')));
    await using running = await open(place, [`--push_interval=${PUSH_INTERVAL_MS}ms`]);
    const { connectionString } = await running.start();
    await prepareLoad(connectionString);
    await sleep(2 * PUSH_INTERVAL_MS);
    const load = await startLoad(connectionString, CLIENTS);
    await sleep(2 * PUSH_INTERVAL_MS);
    const killedAt = await killUnderLoad(running, load);
    await running.loseMachine();
    const again = await running.start();
    const before = killedAt - PUSH_INTERVAL_MS - PUSH_DURATION_MAX_MS;
    expect(await findLostCommits(again.connectionString, load, before)).toEqual([]);
  });
});

describe('a process that is killed', TIMEOUT, () => {
  it('is started again by neon start, and nothing acknowledged is lost: page server, Postgres, both', async () => {
    await using place = await (PLACES[0]?.open() ?? Promise.reject(new Error('no place')));
    await using running = await open(place, []);
    let { connectionString } = await running.start();
    await prepareLoad(connectionString);
    for (const what of [{ pageServer: true }, { postgres: true }, { pageServer: true, postgres: true }]) {
      const load = await startLoad(connectionString, CLIENTS);
      await sleep(LOAD_MIN_MS);
      await running.kill(what);
      await load.stop();
      const again = await running.start();
      expect(again.reused).toBe(true);
      expect(await findLostCommits(again.connectionString, load)).toEqual([]);
      connectionString = again.connectionString;
    }
    const { timelines } = await running.status();
    expect(timelines).toHaveLength(1);
  });
});
