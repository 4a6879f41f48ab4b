import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPlace } from './soak/places.ts';
import { connect } from './testing/commit-load.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { runNeon } from './testing/running-neon.ts';

const run = promisify(execFile);
const TIMEOUT = { timeout: 600_000 } as const;
const isCi = process.env.CI === 'true';
const PGBENCH =
  [18, 17, 16, 15, 14].map((major) => `/usr/lib/postgresql/${major}/bin/pgbench`).find(existsSync) ??
  'pgbench';
/** CI installs it (scripts/servers/install.sh). */
const canRun = PGBENCH !== 'pgbench' || isCi;
const SECONDS = isCi ? 60 : 3;
const CLIENTS = 4;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe.runIf(canRun)(`Debian's pgbench${canRun ? '' : ' [skipped: not installed]'}`, TIMEOUT, () => {
  it('keeps all of its transactions and its balance when the machine is lost at the end', async () => {
    await using place = await openPlace('s3', scratch.path);
    const directory = path.join(scratch.path, 'machine');
    await mkdir(directory);
    const flags = [`--storage_dest=${place.url}`, '--durability=remote'];
    await using running = runNeon({ directory, flags, env: place.env });
    const { connectionString } = await running.start();
    await run(PGBENCH, ['--initialize', '--scale=2', '--quiet', connectionString]);
    const bench = runUntilKilled(connectionString);
    await sleep((SECONDS * 1000 * (1 + Math.random())) / 2);
    await running.loseMachine();
    const processed = await bench;
    expect(processed).toBeGreaterThan(0);
    const again = await running.start();
    const session = await connect(again.connectionString);
    const { rows } = await session
      .query<Record<string, string>>(
        `SELECT (SELECT count(*) FROM pgbench_history) AS transactions, (SELECT sum(delta) FROM pgbench_history) AS history,
          (SELECT sum(abalance) FROM pgbench_accounts) AS accounts, (SELECT sum(tbalance) FROM pgbench_tellers) AS tellers,
          (SELECT sum(bbalance) FROM pgbench_branches) AS branches`,
      )
      .finally(() => session.end());
    const { transactions, history, ...sums } = rows[0] ?? {};
    expect(Number(transactions)).toBeGreaterThanOrEqual(processed);
    // At most one of each client was on its way.
    expect(Number(transactions)).toBeLessThanOrEqual(processed + CLIENTS);
    expect(sums).toEqual({ accounts: history, tellers: history, branches: history });
  });
});

/** How many transactions its clients were told of before they lost the server. */
async function runUntilKilled(connectionString: string): Promise<number> {
  const words = [`--client=${CLIENTS}`, '--jobs=2', `--time=${SECONDS}`, '--no-vacuum', connectionString];
  const output: unknown = await run(PGBENCH, words).catch((error: unknown) => error);
  const { stdout = '' } = output as { readonly stdout?: string };
  return Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1]);
}
