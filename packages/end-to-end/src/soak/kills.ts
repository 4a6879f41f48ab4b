import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCommits, prepareLoad, startLoad } from '../testing/commit-load.ts';
import { startCli } from '../testing/running-cli.ts';
import { type RunningNeon, runNeon, type Started } from '../testing/running-neon.ts';
import { AGITATED_FLAGS, agitate } from './agitate.ts';
import { keepBranches } from './kept-branches.ts';
import type { Place } from './places.ts';

export interface KillsOptions {
  /** An empty directory for the machine that is lost. */
  readonly scratch: string;
  readonly place: Place;
  readonly durability: 'local' | 'remote';
  readonly pushIntervalMs: number;
  readonly rounds: number;
  readonly clients: number;
  /** Layers are merged, garbage is collected and deleted all the time, beside branches that have to stay as they were. */
  readonly agitated?: boolean | undefined;
  readonly onRound?: (round: KillRound) => void;
}

/** One machine that lost its power under load. */
export interface KillRound {
  readonly number: number;
  /** `lost`: and its disk. `lost-twice`: so was the next one, while `neon start` ran there. `crashed`: its disk was still there. */
  readonly kind: 'lost' | 'lost-twice' | 'crashed';
  readonly loadMs: number;
  readonly acknowledged: number;
  readonly missing: number;
  /** How long before the kill the oldest commit that is missing was acknowledged. */
  readonly missingMs: number;
  /** What is wrong whatever was promised, in words. */
  readonly faults: readonly string[];
  /** Of the `neon start` after it. */
  readonly startSeconds: number;
  /** How often garbage was collected since the last round. */
  readonly collections?: number;
}

/** In push intervals: from less than one to two pushes of layers, where these come every second, and several of raw WAL. */
const LOAD_MIN = 0.6;
const LOAD_MAX = 2.5;
const START_MAX_MS = 5_000;
const CRASH_SHARE = 0.2;
const LOST_TWICE_SHARE = 0.2;
const ROUNDS_OF_BRANCH = 4;

/**
 * Kills everything that runs on a machine at random moments under load, takes its directory away, and starts it again from the
 * storage, time after time.
 */
export async function soakKills(options: KillsOptions): Promise<KillRound[]> {
  const { place, durability, pushIntervalMs, rounds } = options;
  const directory = path.join(options.scratch, 'machine');
  await mkdir(directory, { recursive: true });
  const flags = [
    `--storage_dest=${place.url}`,
    `--durability=${durability}`,
    `--push_interval=${pushIntervalMs}ms`,
    // So that layers, indexes and the deletion of raw WAL are hit too.
    '--layer_interval=1s',
    ...(options.agitated === true ? AGITATED_FLAGS : []),
  ];
  await using running = runNeon({ directory, flags, env: place.env });
  let started = await running.start();
  await prepareLoad(started.connectionString);
  await waitUntilStored(running);
  await using agitation = options.agitated === true ? agitate(directory) : undefined;
  const branches = keepBranches(running);
  const done: KillRound[] = [];
  for (let number = 1; number <= rounds; number += 1) {
    const before = agitation?.collections ?? 0;
    const { round, started: next } = await killOnce({ ...options, running, number, flags, started });
    started = next;
    if (agitation !== undefined && number % ROUNDS_OF_BRANCH === 1)
      await branches.make(`kept-${number}`, started.connectionString);
    done.push(round);
    options.onRound?.(
      agitation === undefined ? round : { ...round, collections: agitation.collections - before },
    );
  }
  const faults = await branches.check();
  return done.map((round, index) =>
    index === done.length - 1 ? { ...round, faults: [...round.faults, ...faults] } : round,
  );
}

interface Round extends KillsOptions {
  readonly running: RunningNeon;
  readonly number: number;
  readonly flags: readonly string[];
  readonly started: Started;
}

/** The tables of the load are not what may be lost. */
async function waitUntilStored(running: RunningNeon): Promise<void> {
  while ((await running.status()).timelines.some(({ lagBytes }) => lagBytes > 0)) await sleep(100);
}

async function killOnce(of: Round): Promise<{ readonly round: KillRound; readonly started: Started }> {
  const { running, number, clients, durability, pushIntervalMs } = of;
  const load = await startLoad(of.started.connectionString, clients);
  const loadMs = pushIntervalMs * (LOAD_MIN + Math.random() * (LOAD_MAX - LOAD_MIN));
  await sleep(loadMs);
  const killedAt = performance.now();
  await running.killAll();
  await load.ended;
  const kind = chooseKind(durability);
  if (kind !== 'crashed') await running.loseMachine();
  if (kind === 'lost-twice') await loseWhileStarting(of);
  const started = await running.start();
  const { acknowledged, missingSince, faults } = await checkCommits(started.connectionString, load);
  const wrong = started.reused === (kind === 'crashed') ? [] : [`reused is ${started.reused}`];
  const round = {
    number,
    kind,
    loadMs: Math.round(loadMs),
    acknowledged,
    missing: missingSince.length,
    missingMs: missingSince.length === 0 ? 0 : Math.round(killedAt - Math.min(...missingSince)),
    faults: [...faults, ...wrong],
    startSeconds: Math.round(started.seconds * 10) / 10,
  };
  return { round, started };
}

function chooseKind(durability: 'local' | 'remote'): KillRound['kind'] {
  const dice = Math.random();
  // What a disk has cannot be missing, so with `local` that would hide how much a lost one takes with it.
  if (dice < CRASH_SHARE) return durability === 'remote' ? 'crashed' : 'lost';
  return dice < CRASH_SHARE + LOST_TWICE_SHARE ? 'lost-twice' : 'lost';
}

async function loseWhileStarting({ running, flags, place }: Round): Promise<void> {
  const { exited } = startCli(['start', '-D', running.directory, ...flags], place.env);
  await Promise.race([sleep(Math.random() * START_MAX_MS), exited]);
  await running.loseMachine();
  await exited;
}
