import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilCaughtUp } from '../testing/caught-up.ts';
import { checkCommits, countAcknowledged, prepareLoad, startLoad } from '../testing/commit-load.ts';
import { runNeon } from '../testing/running-neon.ts';
import type { OutageKind } from '../testing/s3-process.ts';
import type { BreakablePlace } from './server-process.ts';
import { verifyBucket } from './verify-bucket.ts';

export interface OutageOptions {
  /** An empty directory. */
  readonly scratch: string;
  readonly place: BreakablePlace;
  readonly kind: OutageKind | 'killed';
  readonly durability: 'local' | 'remote';
  readonly outageMs: number;
  readonly clients: number;
}

/** What became of a load while its storage was away. */
export interface Outage {
  readonly kind: OutageKind | 'killed';
  readonly durability: 'local' | 'remote';
  readonly outageMs: number;
  readonly acknowledgedBefore: number;
  /** In the second half of the outage: what was under way at its begin has come back by then. */
  readonly acknowledgedDuring: number;
  readonly acknowledgedAfter: number;
  /** What `neon status` said before the end of the outage. */
  readonly failure: string | null;
  readonly lagBytes: number;
  /** From the end of the outage until the storage had everything. */
  readonly catchUpMs: number;
  readonly missing: number;
  /** What is wrong whatever was promised, in words. */
  readonly faults: readonly string[];
}

const BEFORE_MS = 1_000;

/** Takes a storage away from under a load, gives it back, waits until it has everything, and then loses the machine. */
export async function soakOutage(options: OutageOptions): Promise<Outage> {
  const { scratch, place, kind, durability, outageMs } = options;
  const directory = path.join(scratch, 'machine');
  await mkdir(directory, { recursive: true });
  const flags = [`--storage_dest=${place.url}`, `--durability=${durability}`, '--layer_interval=2s'];
  await using running = runNeon({ directory, flags, env: place.env });
  const { connectionString } = await running.start();
  await prepareLoad(connectionString);
  const load = await startLoad(connectionString, options.clients);
  await sleep(BEFORE_MS);
  const acknowledgedBefore = countAcknowledged(load);
  await place.breakDown(kind);
  await sleep(outageMs / 2);
  const half = countAcknowledged(load);
  await sleep(outageMs / 2);
  const { timelines } = await running.status();
  const [timeline] = timelines;
  const end = countAcknowledged(load);
  await place.recover();
  const recoveredAt = performance.now();
  while (countAcknowledged(load) === end) await sleep(50);
  await load.stop();
  await untilCaughtUp(running, connectionString);
  const catchUpMs = Math.round(performance.now() - recoveredAt);
  await running.loseMachine();
  const again = await running.start();
  const { missingSince, faults } = await checkCommits(again.connectionString, load);
  return {
    kind,
    durability,
    outageMs,
    acknowledgedBefore,
    acknowledgedDuring: end - half,
    acknowledgedAfter: countAcknowledged(load) - end,
    failure: timeline?.failure ?? null,
    lagBytes: timeline?.lagBytes ?? 0,
    catchUpMs,
    missing: missingSince.length,
    faults: [...faults, ...(await verifyBucket(place, scratch))],
  };
}
