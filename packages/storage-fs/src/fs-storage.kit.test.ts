import { statfsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStorage } from '@neon-snapshot/storage-conformance';
import { withPrefix, withRetry } from '@neon-snapshot/storage-core';
import { openFsStorage } from './fs-storage.ts';

const BEYOND_LIMITS_BYTES = 5 * 2 ** 30 + 12_345;
/** The object and its copy, and something for others. */
const FREE_BYTES_MIN = 16 * 2 ** 30;
const { bavail, bsize } = statfsSync(tmpdir());

/** CI meets ten pages of keys and, where the disk has room, an object beyond every limit of 32 bits and of one S3 request. */
const SCALE =
  process.env.CI === undefined
    ? { pagedKeyCount: 1_100 }
    : {
        pagedKeyCount: 10_000,
        ...(bavail * bsize < FREE_BYTES_MIN ? {} : { largeObjectBytes: BEYOND_LIMITS_BYTES }),
      };

async function temporaryDirectory(): Promise<{ readonly path: string; cleanup(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'neon-storage-fs-'));
  return { path, cleanup: () => rm(path, { recursive: true, force: true }) };
}

describeStorage({
  name: 'file storage',
  ...SCALE,
  open: async () => {
    const { path, cleanup } = await temporaryDirectory();
    return { storage: await openFsStorage({ rootPath: path }), cleanup };
  },
});

describeStorage({
  name: 'file storage whose root is made by the first write, below a link',
  pagedKeyCount: 50,
  open: async () => {
    const { path, cleanup } = await temporaryDirectory();
    await symlink(path, `${path}/self`);
    return { storage: await openFsStorage({ rootPath: `${path}/self/a/b`, create: true }), cleanup };
  },
});

describeStorage({
  name: 'decorated file storage',
  pagedKeyCount: 50,
  open: async () => {
    const { path, cleanup } = await temporaryDirectory();
    const inner = await openFsStorage({ rootPath: path });
    const retried = withRetry(inner, { attemptsMax: 2, baseDelayMs: 1, delayMaxMs: 1 });
    return { storage: withPrefix(retried, { prefix: 'tenants/1' }), cleanup };
  },
});
