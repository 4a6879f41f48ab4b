import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPlace, type Place } from './soak/places.ts';
import { soakRaces } from './soak/races.ts';
import { verifyBucket } from './soak/verify-bucket.ts';
import { connect, findLostCommits, prepareLoad, startLoad } from './testing/commit-load.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { FOLLOWER_ENV, makePrimary } from './testing/followed-primary.ts';
import { neon } from './testing/neon-cli.ts';
import { neonFailure } from './testing/neon-failure.ts';
import { startCli } from './testing/running-cli.ts';
import { type RunningNeon, runNeon } from './testing/running-neon.ts';
import { startS3Process } from './testing/s3-process.ts';

const TIMEOUT = { timeout: 600_000 } as const;
const isCi = process.env.CI === 'true';
/** Of CI, for the time they take; the long run is `npm run soak -- races`. */
const RACES = 5;
/** A holder renews its lease every 10 s, and hears of a loss then at the latest. */
const FENCE_MAX_MS = 30_000;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

async function machine(name: string, place: Place, flags: readonly string[] = []): Promise<RunningNeon> {
  const directory = path.join(scratch.path, name);
  await mkdir(directory);
  return runNeon({ directory, flags: [`--storage_dest=${place.url}`, ...flags], env: place.env });
}

async function untilEnded(running: RunningNeon): Promise<void> {
  for (const startedAt = performance.now(); ; ) {
    const { pageserver, endpoints } = await running.status();
    if (!pageserver.running && endpoints.every((each) => each.pid === null)) return;
    if (performance.now() - startedAt > FENCE_MAX_MS) throw new Error('it still runs');
    await sleep(200);
  }
}

describe('a second neon start on a storage', TIMEOUT, () => {
  it.runIf(isCi)('says who holds the lease and waits for its end, while the first goes on', async () => {
    await using place = await openPlace('s3', scratch.path);
    await using first = await machine('first', place);
    await first.start();
    const { pageserver } = await first.status();
    await using second = await machine('second', place);
    const words = ['start', '-D', second.directory, `--storage_dest=${place.url}`];
    const { child, exited } = startCli(words, place.env);
    const holder = new RegExp(`held by neon start \\(pid ${pageserver.pid} on .*waiting until it expires`);
    let told = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (told += String(chunk)));
    while (!holder.test(told) && child.exitCode === null) await sleep(50);
    const { code, output } = await exited;
    expect(output).toMatch(holder);
    expect(code).not.toBe(0);
    expect((await second.status()).pageserver.running).toBe(false);
    expect((await first.status()).pageserver).toEqual(pageserver);
  });

  it('with --take_over has every acknowledged commit; the first says that it was fenced and by whom, and stops', async () => {
    await using place = await openPlace('s3', scratch.path);
    await using first = await machine('first', place, ['--durability=remote']);
    const { connectionString } = await first.start();
    await prepareLoad(connectionString);
    const load = await startLoad(connectionString, 4);
    await using second = await machine('second', place, ['--durability=remote']);
    const taken = await second.start(['--take_over']);
    await untilEnded(first);
    await load.ended;
    expect(await findLostCommits(taken.connectionString, load)).toEqual([]);
    const { stdout } = await neon(['status', '-D', first.directory], place.env);
    const { pid } = (await second.status()).pageserver;
    expect(stdout).toMatch(new RegExp(`not running; .*fenced.*neon start \\(pid ${pid} on `));
    const session = await connect(taken.connectionString);
    await session.query('CREATE TABLE only_on_the_second AS SELECT 1 AS a').finally(() => session.end());
    const back = ['start', '-D', first.directory, '--take_over', '--durability=remote', '--json'];
    const result = JSON.parse((await neon(back, place.env)).stdout);
    const again = await connect(result.endpoints[0].connectionString);
    const { rows } = await again.query('SELECT a FROM only_on_the_second').finally(() => again.end());
    expect(rows).toEqual([{ a: 1 }]);
    await untilEnded(second);
    expect(await verifyBucket(place, scratch.path)).toEqual([]);
  });
});

it.runIf(isCi)(
  `${RACES} races of two neon start for one storage on S3 have one winner each, and leave a bucket that verifies`,
  TIMEOUT,
  async () => {
    await using place = await openPlace('s3', scratch.path);
    const races = await soakRaces({ scratch: scratch.path, place, races: RACES });
    for (const race of races) expect(race).toMatchObject({ running: 1, faults: [] });
    expect(await verifyBucket(place, scratch.path)).toEqual([]);
  },
);

const IGNORING = { name: 'ignores conditions', quirk: 'ignored', option: '' } as const;
const WITHOUT = {
  name: 'has no conditional put',
  quirk: 'not-implemented',
  option: '?conditional_put=false',
} as const;

/** CI takes both. */
describe.each(isCi ? [WITHOUT, IGNORING] : [IGNORING])('a store that $name', TIMEOUT, ({ quirk, option }) => {
  it('is refused by neon start unless --unsafe_no_lease is given', async () => {
    await using store = await startS3Process(path.join(scratch.path, 's3'), { conditionalPut: quirk });
    const directory = path.join(scratch.path, 'machine');
    await mkdir(directory);
    const place = `--storage_dest=${store.url}${option}`;
    const words = ['start', '-D', directory, place];
    await using running = runNeon({ directory, flags: [place, '--unsafe_no_lease'], env: store.env });
    expect(await neonFailure(words, store.env)).toMatchObject({
      code: 'REPOSITORY_LEASE_UNSUPPORTED',
      message: expect.stringContaining('--unsafe_no_lease'),
    });
    const { connectionString } = await running.start();
    const session = await connect(connectionString);
    await session.query('CREATE TABLE t AS SELECT 1 AS a').finally(() => session.end());
    await running.command(['stop']);
  });

  it.runIf(isCi)('is refused before a primary is copied, and the primary keeps no slot', async () => {
    await using store = await startS3Process(path.join(scratch.path, 's3'), { conditionalPut: quirk });
    await using primary = await makePrimary(17);
    const directory = path.join(scratch.path, 'follower');
    await mkdir(directory);
    const words = [
      'start',
      '-D',
      directory,
      `--follow=${primary.url}`,
      `--storage_dest=${store.url}${option}`,
    ];
    expect(await neonFailure(words, { ...store.env, ...FOLLOWER_ENV })).toMatchObject({
      code: 'REPOSITORY_LEASE_UNSUPPORTED',
    });
    expect(await primary.server.query('SELECT slot_name FROM pg_replication_slots')).toEqual([]);
    const { stdout } = await neon(['storage', 'ls', `${store.url}${option}`, '--json'], store.env);
    expect(JSON.parse(stdout)).toMatchObject({ objects: [] });
  });
});
