import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '../testing/commit-load.ts';
import { runNeon } from '../testing/running-neon.ts';
import { AGITATED_FLAGS, agitate } from './agitate.ts';
import type { Place } from './places.ts';

const run = promisify(execFile);

/** Debian's pgbench where it is installed. */
export const PGBENCH: string | undefined = [18, 17, 16, 15, 14]
  .map((major) => `/usr/lib/postgresql/${major}/bin/pgbench`)
  .find(existsSync);

export interface PgbenchOptions {
  /** An empty directory for the machine that is lost. */
  readonly scratch: string;
  readonly place: Place;
  readonly scale: number;
  readonly clients: number;
  /** The machine is lost in the second half of it. */
  readonly seconds: number;
  /** Layers are merged, garbage is collected and deleted all the time. */
  readonly agitated?: boolean | undefined;
}

/** What `pgbench` was told, and what is there once its machine is lost. */
export interface PgbenchRun {
  readonly processed: number;
  readonly stored: number;
  readonly startSeconds: number;
  /** What is wrong, in words. */
  readonly faults: readonly string[];
}

/** Loses a machine under pgbench with `--durability=remote`. */
export async function soakPgbench(options: PgbenchOptions): Promise<PgbenchRun> {
  const { place, scale, clients, seconds } = options;
  if (PGBENCH === undefined) throw new Error('pgbench is not installed: scripts/servers/install.sh');
  const directory = path.join(options.scratch, 'machine');
  await mkdir(directory, { recursive: true });
  // So that layers are merged too, which happens every 10 s.
  const flags = [
    `--storage_dest=${place.url}`,
    '--durability=remote',
    '--layer_interval=1s',
    ...(options.agitated === true ? AGITATED_FLAGS : []),
  ];
  await using running = runNeon({ directory, flags, env: place.env });
  const { connectionString } = await running.start();
  await run(PGBENCH, ['--initialize', `--scale=${scale}`, '--quiet', connectionString]);
  await using _agitation = options.agitated === true ? agitate(directory) : undefined;
  const words = [`--client=${clients}`, '--jobs=2', `--time=${seconds}`, '--no-vacuum', connectionString];
  const bench = transactionsOf(run(PGBENCH, words));
  await sleep((seconds * 1000 * (1 + Math.random())) / 2);
  await running.loseMachine();
  const processed = await bench;
  const again = await running.start();
  return {
    processed,
    startSeconds: again.seconds,
    ...(await check(again.connectionString, processed, clients)),
  };
}

/** How many transactions its clients were told of before they lost the server. */
async function transactionsOf(bench: Promise<unknown>): Promise<number> {
  const output: unknown = await bench.catch((error: unknown) => error);
  const { stdout = '' } = output as { readonly stdout?: string };
  return Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1]);
}

async function check(
  connectionString: string,
  processed: number,
  clients: number,
): Promise<{ readonly stored: number; readonly faults: readonly string[] }> {
  const session = await connect(connectionString);
  const { rows } = await session
    .query<Record<string, string>>(
      `SELECT (SELECT count(*) FROM pgbench_history) AS transactions, (SELECT sum(delta) FROM pgbench_history) AS history,
        (SELECT sum(abalance) FROM pgbench_accounts) AS accounts, (SELECT sum(tbalance) FROM pgbench_tellers) AS tellers,
        (SELECT sum(bbalance) FROM pgbench_branches) AS branches`,
    )
    .finally(() => session.end());
  const { transactions, history, ...sums } = rows[0] ?? {};
  const stored = Number(transactions);
  const faults = Object.entries(sums).flatMap(([name, sum]) =>
    sum === history ? [] : [`the balance of ${name} is ${sum}, that of the history ${history}`],
  );
  // At most one of each client was on its way.
  if (!(processed > 0 && stored >= processed && stored <= processed + clients))
    faults.push(`${stored} transactions are there, ${processed} were acknowledged`);
  return { stored, faults };
}
