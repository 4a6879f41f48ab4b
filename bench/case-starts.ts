import type { BenchOptions } from './run.ts';
import { measureRestart, type Restart, restartTable } from './server-starts.ts';

/** pgbench scales of about 0.1 and 1 GB; more where `--scale` says so. */
const SMALL_SCALE = 3;
const MIDDLE_SCALE = 45;

/** The page server and its endpoint: starts by size. Leaves what `--only server` goes on with. */
export async function runStarts(options: BenchOptions): Promise<string> {
  const restarts: Restart[] = [];
  for (const scale of [SMALL_SCALE, MIDDLE_SCALE])
    restarts.push(await measureRestart({ ...options, scale, mixedRows: undefined, withBranch: true }));
  if (options.scale > MIDDLE_SCALE) restarts.push(await measureRestart({ ...options, withBranch: false }));
  return restartTable(restarts);
}
