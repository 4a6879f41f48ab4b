import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStorage } from '@neon-snapshot/storage-conformance';
import { withPrefix, withRetry } from '@neon-snapshot/storage-core';
import { openFsStorage } from './fs-storage.ts';

/** CI meets ten pages of keys and an object beyond every limit of 32 bits and of one S3 request. */
const SCALE =
  process.env.CI === undefined
    ? { pagedKeyCount: 1_100 }
    : { pagedKeyCount: 10_000, largeObjectBytes: 5 * 2 ** 30 + 12_345 };

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
