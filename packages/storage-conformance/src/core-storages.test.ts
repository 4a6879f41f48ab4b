import {
  createMemoryStorage,
  type Storage,
  withByteProgress,
  withConcurrencyLimit,
  withPrefix,
  withRateLimit,
  withRetry,
  withTimeout,
} from '@neon-snapshot/storage-core';
import { createEventualStorage } from './eventual-storage.ts';
import { createFaultyStorage } from './faulty-storage.ts';
import { describeStorage } from './storage-kit.ts';

const RETRY = { attemptsMax: 3, baseDelayMs: 1, delayMaxMs: 2 };

function describeDecorated(name: string, decorate: (memory: Storage) => Storage | Promise<Storage>): void {
  describeStorage({
    name,
    pagedKeyCount: 1100,
    open: async () => ({ storage: await decorate(createMemoryStorage()), cleanup: async () => {} }),
  });
}

describeStorage({
  name: 'memory',
  open: async () => ({ storage: createMemoryStorage(), cleanup: async () => {} }),
});
describeStorage({
  name: 'an eventual storage, settled',
  pagedKeyCount: 100,
  open: async () => {
    const storage = createEventualStorage({ lagReads: 3 });
    return { storage, settle: () => storage.settle(), cleanup: async () => {} };
  },
});
describeDecorated('memory in pages of 7', () => createMemoryStorage({ pageSizeMax: 7 }));
describeDecorated('memory without conditions and copy', () =>
  createMemoryStorage({
    capability: { conditionalPut: { ifNoneMatch: false, ifMatch: false }, serverSideCopy: false },
  }),
);
describeDecorated('withRetry', (memory) => withRetry(memory, RETRY));
describeDecorated('withTimeout', (memory) => withTimeout(memory, { timeoutMs: 10_000 }));
describeDecorated('withConcurrencyLimit of one', (memory) =>
  withConcurrencyLimit(memory, { concurrencyMax: 1 }),
);
describeDecorated('withByteProgress', (memory) => withByteProgress(memory, { onBytes: () => {} }));
describeDecorated('withRateLimit', (memory) => withRateLimit(memory, { bytesPerSecondMax: 2 ** 40 }));
describeDecorated('withPrefix', async (memory) => {
  await memory.put('outside', new Uint8Array(1));
  await memory.put('some/prefix-not', new Uint8Array(1));
  return withPrefix(memory, { prefix: 'some/prefix' });
});
describeDecorated('a faulty storage without faults', (memory) => createFaultyStorage(memory, { plan: [] }));
describeDecorated('every decorator together', (memory) =>
  withRateLimit(
    withRetry(
      withConcurrencyLimit(withTimeout(withPrefix(memory, { prefix: 'p' }), { timeoutMs: 10_000 }), {
        concurrencyMax: 3,
      }),
      RETRY,
    ),
    { bytesPerSecondMax: 2 ** 40 },
  ),
);
