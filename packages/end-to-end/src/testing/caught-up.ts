import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '@neon-snapshot/postgres';
import { connect } from './commit-load.ts';
import type { RunningNeon } from './running-neon.ts';

const POLL_INTERVAL_MS = 200;

/** Waits until the storage has everything that an endpoint's Postgres has committed so far. Returns how long that took. */
export async function untilCaughtUp(running: RunningNeon, connectionString: string): Promise<number> {
  const startedAt = performance.now();
  const session = await connect(connectionString);
  const { rows } = await session
    .query<{ lsn: string }>(`SELECT pg_logical_emit_message(true, 'caught up', 'behind all commits') AS lsn`)
    .finally(() => session.end());
  const wanted = parseLsn(rows[0]?.lsn ?? '');
  for (;;) {
    const { timelineId, timelines } = await running.status();
    const timeline = timelines.find((each) => each.timelineId === timelineId);
    if (timeline !== undefined && timeline.failure === null && parseLsn(timeline.durableLsn) >= wanted)
      return performance.now() - startedAt;
    await sleep(POLL_INTERVAL_MS);
  }
}
