import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../testing/commit-load.ts';
import { type CliExit, startCli } from '../testing/running-cli.ts';
import { type RunningNeon, runNeon } from '../testing/running-neon.ts';
import type { Place } from './places.ts';

export interface RacesOptions {
  readonly scratch: string;
  readonly place: Place;
  readonly races: number;
  readonly onRace?: (race: Race) => void;
}

/** Two machines that were started for one storage at nearly the same time, both with `--take_over`. */
export interface Race {
  readonly number: number;
  readonly staggerMs: number;
  /** Page servers that run once it is decided; one is right. */
  readonly running: number;
  readonly exitCodes: readonly (number | null)[];
  /** What is wrong, in words. */
  readonly faults: readonly string[];
}

const STAGGER_MAX_MS = 6_000;
const DECISION_MAX_MS = 60_000;
const FLAGS = ['--take_over', '--durability=remote', '--layer_interval=1s'] as const;

/**
 * Lets two machines race for a storage time after time; the winner commits a row, and has those of all winners before it. Then
 * both lose their power, or the winner stops in order.
 */
export async function soakRaces(options: RacesOptions): Promise<Race[]> {
  const { scratch, place } = options;
  const flags = [`--storage_dest=${place.url}`, ...FLAGS];
  const open = async (name: string) => {
    const directory = path.join(scratch, name);
    await mkdir(directory, { recursive: true });
    return runNeon({ directory, flags, env: place.env });
  };
  await using first = await open('racer-1');
  await using second = await open('racer-2');
  const { connectionString } = await first.start();
  await query(connectionString, 'CREATE TABLE wins (race int)');
  await first.command(['stop']);
  const done: Race[] = [];
  for (let number = 1; number <= options.races; number += 1) {
    const race = await raceOnce({ number, machines: [first, second], flags, place });
    done.push(race);
    options.onRace?.(race);
  }
  return done;
}

interface RaceOf {
  readonly number: number;
  readonly machines: readonly RunningNeon[];
  readonly flags: readonly string[];
  readonly place: Place;
}

async function raceOnce({ number, machines, flags, place }: RaceOf): Promise<Race> {
  const staggerMs = Math.round(Math.random() * STAGGER_MAX_MS);
  const order = Math.random() < 0.5 ? machines : machines.toReversed();
  const exits = await Promise.all(
    order.map(async ({ directory }, index) => {
      await sleep(index * staggerMs);
      return startCli(['start', '-D', directory, ...flags, '--json'], place.env).exited;
    }),
  );
  const winners = await untilDecided(machines);
  const faults = exits.flatMap(explain);
  const [winner] = winners;
  // A start that took over just before the other's endpoint was ready may itself have come too early for its own.
  const started = await winner?.start(['--take_over']);
  if (started !== undefined) {
    const wins = await query(
      started.connectionString,
      `INSERT INTO wins VALUES (${number}); SELECT count(*) AS count FROM wins`,
    );
    if (Number(wins) !== number) faults.push(`${wins} of ${number} wins are there`);
  }
  const running = (await runningOnes(machines)).length;
  if (Math.random() < 0.5) await winner?.command(['stop']);
  for (const machine of machines) await machine.killAll();
  return { number, staggerMs, running, exitCodes: exits.map(({ code }) => code), faults };
}

/** Who fails says why: another one holds the lease, or took it. */
function explain({ code, output }: CliExit): string[] {
  if (code === 0 || /REPOSITORY_LEASE_HELD|fenced|REPOSITORY_LEASE_LOST/.test(output)) return [];
  return [`exit code ${code}: ${output}`];
}

async function untilDecided(machines: readonly RunningNeon[]): Promise<readonly RunningNeon[]> {
  const startedAt = performance.now();
  for (;;) {
    const running = await runningOnes(machines);
    if (running.length <= 1 || performance.now() - startedAt > DECISION_MAX_MS) return running;
    await sleep(500);
  }
}

async function runningOnes(machines: readonly RunningNeon[]): Promise<RunningNeon[]> {
  const states = await Promise.all(
    // A machine that never came as far as a repository has no status.
    machines.map((machine) =>
      machine.status().then(
        (status) => status.pageserver.running,
        () => false,
      ),
    ),
  );
  return machines.filter((_, index) => states[index]);
}

/** The first column of the last row of the last statement. */
async function query(connectionString: string, sql: string): Promise<unknown> {
  const session = await connect(connectionString);
  try {
    const results = [await session.query(sql)].flat();
    return Object.values(results.at(-1)?.rows.at(-1) ?? {})[0];
  } finally {
    await session.end();
  }
}
