import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyBucket } from './soak/verify-bucket.ts';
import { untilCaughtUp } from './testing/caught-up.ts';
import {
  connect,
  countAcknowledged,
  findLostCommits,
  prepareLoad,
  startLoad,
} from './testing/commit-load.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { runNeon } from './testing/running-neon.ts';
import { canMount, MOUNT_NOTE, mountSmallDisk } from './testing/small-disk.ts';

const TIMEOUT = { timeout: 400_000 } as const;
const DISK_BYTES = 256 * 2 ** 20;
const CLIENTS = 2;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

/** Takes all room that is left. */
async function fill(file: string): Promise<void> {
  await using handle = await open(file, 'w');
  const chunk = new Uint8Array(64 * 1024);
  for (let size = chunk.length; size > 0; ) {
    try {
      await handle.write(chunk, 0, size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      size = size === chunk.length ? 4096 : 0;
    }
  }
}

describe.runIf(canMount)(`a machine whose disk is full${MOUNT_NOTE}`, TIMEOUT, () => {
  it('keeps its page server, tells clients why, and goes on after neon start once there is room; nothing is lost', async () => {
    const directory = path.join(scratch.path, 'machine');
    await using _disk = await mountSmallDisk(directory, DISK_BYTES);
    const url = path.join(scratch.path, 'bucket');
    const flags = [`--storage_dest=${url}`, '--durability=remote', '--layer_interval=1s'];
    await using running = runNeon({ directory, flags });
    const { connectionString } = await running.start();
    await prepareLoad(connectionString);
    const before = await running.status();
    const load = await startLoad(connectionString, CLIENTS);
    await sleep(500);
    await fill(path.join(directory, 'ballast'));
    expect(await outgrow(connectionString)).toMatch(/No space left on device|terminat|recovery/);
    expect((await running.status()).pageserver).toEqual(before.pageserver);
    await load.stop();
    expect(countAcknowledged(load)).toBeGreaterThan(0);
    await rm(path.join(directory, 'ballast'));
    const again = await running.start();
    expect(await findLostCommits(again.connectionString, load)).toEqual([]);
    const more = await startLoad(again.connectionString, CLIENTS);
    await sleep(500);
    await more.stop();
    await untilCaughtUp(running, again.connectionString);
    await running.loseMachine();
    const last = await running.start();
    expect(await findLostCommits(last.connectionString, more)).toEqual([]);
    const place = { url, env: {}, [Symbol.asyncDispose]: async () => undefined };
    expect(await verifyBucket(place, scratch.path)).toEqual([]);
  });
});

/** Writes more than there is room for until Postgres says no; returns its words. */
async function outgrow(connectionString: string): Promise<string> {
  const session = await connect(connectionString);
  try {
    for (;;)
      await session.query(
        'CREATE TABLE IF NOT EXISTS big (t text); INSERT INTO big SELECT repeat(md5(i::text), 50) FROM generate_series(1, 5000) i',
      );
  } catch (error) {
    return String(error);
  } finally {
    await session.end().catch(() => undefined);
  }
}
