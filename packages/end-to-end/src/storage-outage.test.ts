import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type S3FaultEffect, type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findLostCommits, prepareLoad, startLoad } from './testing/commit-load.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { type RunningNeon, runNeon } from './testing/running-neon.ts';

const TIMEOUT = { timeout: 400_000 } as const;
const CLIENTS = 2;
/** Longer than a lease lives without renewal: NEON_OUTAGE_SECONDS=60. */
const OUTAGE_MS = Number(process.env.NEON_OUTAGE_SECONDS ?? 8) * 1000;
const OUTAGES: readonly { readonly name: string; readonly effect: S3FaultEffect }[] = [
  { name: 'answers 503', effect: { kind: 'error', status: 503, code: 'SlowDown' } },
  { name: 'cannot be reached', effect: { kind: 'reset', when: 'before' } },
];

let scratch: ScratchDirectory;
let server: S3TestServer;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
  server = await startS3TestServer({ buckets: ['bucket'] });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

async function open(flags: readonly string[]): Promise<RunningNeon> {
  const directory = path.join(scratch.path, 'machine');
  await mkdir(directory);
  const env = {
    AWS_ENDPOINT: server.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_S3_FORCE_PATH_STYLE: 'true',
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
  };
  return runNeon({ directory, flags: ['--storage_dest=s3://bucket/app', ...flags], env });
}

async function untilCaughtUp(running: RunningNeon): Promise<void> {
  for (;;) {
    const { pageserver, timelines } = await running.status();
    expect(pageserver.running).toBe(true);
    if (timelines.every((timeline) => timeline.lagBytes === 0)) return;
    await sleep(200);
  }
}

const countOf = (load: { readonly acknowledged: readonly (readonly unknown[])[] }) =>
  load.acknowledged.reduce((sum, commits) => sum + commits.length, 0);

describe.each(OUTAGES)('while S3 $name', TIMEOUT, ({ effect }) => {
  it('Postgres goes on with --durability=local, status says what is wrong, and storage catches up', async () => {
    await using running = await open([]);
    const { connectionString } = await running.start();
    await prepareLoad(connectionString);
    const load = await startLoad(connectionString, CLIENTS);
    const outage = server.inject({ effect, times: Number.POSITIVE_INFINITY });
    await sleep(OUTAGE_MS / 2);
    const before = countOf(load);
    await sleep(OUTAGE_MS / 2);
    expect(countOf(load)).toBeGreaterThan(before);
    const { timelines } = await running.status();
    expect(timelines).toMatchObject([{ failure: expect.any(String) }]);
    expect(timelines[0]?.lagBytes).toBeGreaterThan(0);
    outage.remove();
    await load.stop();
    await untilCaughtUp(running);
    await running.kill({ pageServer: true, postgres: true });
    await running.loseMachine();
    const again = await running.start();
    expect(await findLostCommits(again.connectionString, load)).toEqual([]);
  });

  it('commits wait with --durability=remote, and are acknowledged once it is there again', async () => {
    await using running = await open(['--durability=remote']);
    const { connectionString } = await running.start();
    await prepareLoad(connectionString);
    const load = await startLoad(connectionString, CLIENTS);
    await sleep(1000);
    const outage = server.inject({ effect, times: Number.POSITIVE_INFINITY });
    await sleep(OUTAGE_MS / 2);
    const before = countOf(load);
    await sleep(OUTAGE_MS / 2);
    expect(countOf(load)).toBe(before);
    outage.remove();
    while (countOf(load) === before) await sleep(100);
    await running.kill({ pageServer: true, postgres: true });
    await load.stop();
    await running.loseMachine();
    const again = await running.start();
    expect(await findLostCommits(again.connectionString, load)).toEqual([]);
  });
});
