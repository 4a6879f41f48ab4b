import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCommits, countAcknowledged, prepareLoad, startLoad } from '../testing/commit-load.ts';
import { processesOf } from '../testing/processes-of.ts';
import { type RunningNeon, runNeon } from '../testing/running-neon.ts';
import type { Place } from './places.ts';

export interface PausesOptions {
  /** An empty directory for both machines. */
  readonly scratch: string;
  readonly place: Place;
  readonly rounds: number;
  readonly clients: number;
  readonly onRound?: (round: PauseRound) => void;
}

/** A machine that stood still under load, was taken over from meanwhile, and then went on as if nothing had happened. */
export interface PauseRound {
  readonly number: number;
  readonly paused: 'page server' | 'machine';
  readonly acknowledgedByPaused: number;
  /** After it went on. What it was told of before may still be on its way. */
  readonly acknowledgedLate: number;
  readonly acknowledgedByNew: number;
  /** The paused machine had its old directory when it took over again. */
  readonly keepsDirectory: boolean;
  readonly missing: number;
  /** What is wrong, in words. */
  readonly faults: readonly string[];
}

const FLAGS = ['--durability=remote', '--layer_interval=1s', '--take_over'] as const;
const BEFORE_MS = [300, 2_000] as const;
const TOGETHER_MS = [500, 2_000] as const;
/** A holder renews its lease every 10 s, and hears of a loss then at the latest; much more on a busy machine. */
const FENCE_MAX_MS = 120_000;

/** Lets machines that stood still write on, time after time; each is taken over from by the other of two. */
export async function soakPauses(options: PausesOptions): Promise<PauseRound[]> {
  const { scratch, place } = options;
  const open = async (name: string) => {
    const directory = path.join(scratch, name);
    await mkdir(directory, { recursive: true });
    return runNeon({ directory, flags: [`--storage_dest=${place.url}`, ...FLAGS], env: place.env });
  };
  await using first = await open('paused-1');
  await using second = await open('paused-2');
  let [holder, other] = [first, second];
  await prepareLoad((await holder.start()).connectionString);
  const done: PauseRound[] = [];
  for (let number = 1; number <= options.rounds; number += 1) {
    const round = await pauseOnce({ ...options, number, holder, other });
    done.push(round);
    options.onRound?.(round);
    [holder, other] = [other, holder];
  }
  return done;
}

interface Round extends PausesOptions {
  readonly number: number;
  readonly holder: RunningNeon;
  readonly other: RunningNeon;
}

async function pauseOnce({ number, holder, other, clients }: Round): Promise<PauseRound> {
  const { connectionString } = await holder.start();
  const load = await startLoad(connectionString, clients);
  await sleep(between(BEFORE_MS));
  const paused = Math.random() < 0.5 ? 'machine' : 'page server';
  const { pageserver } = await holder.status();
  const pids = paused === 'machine' ? await processesOf(holder.directory) : [pageserver.pid ?? 0];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  const taken = await other.start();
  const newLoad = await startLoad(taken.connectionString, clients, clients);
  await sleep(between(TOGETHER_MS));
  const before = countAcknowledged(load);
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  const faults = await untilFenced(holder);
  await load.ended;
  await newLoad.stop();
  const ofPaused = await checkCommits(taken.connectionString, load);
  const ofNew = await checkCommits(taken.connectionString, newLoad);
  const keepsDirectory = Math.random() < 0.5;
  if (!keepsDirectory) await holder.loseMachine();
  return {
    number,
    paused,
    acknowledgedByPaused: ofPaused.acknowledged,
    acknowledgedLate: ofPaused.acknowledged - before,
    acknowledgedByNew: ofNew.acknowledged,
    keepsDirectory,
    missing: ofPaused.missingSince.length + ofNew.missingSince.length,
    faults: [...faults, ...ofPaused.faults, ...ofNew.faults],
  };
}

async function untilFenced(machine: RunningNeon): Promise<string[]> {
  for (const startedAt = performance.now(); performance.now() - startedAt < FENCE_MAX_MS; ) {
    const { pageserver, endpoints } = await machine.status();
    if (!pageserver.running && endpoints.every(({ pid }) => pid === null)) return [];
    await sleep(200);
  }
  await machine.killAll();
  return ['it went on for too long after it was taken over from'];
}

function between([least, most]: readonly [number, number]): number {
  return least + Math.random() * (most - least);
}
