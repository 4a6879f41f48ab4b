import { createFaultyStorage } from '@neon-snapshot/storage-conformance';
import { expect } from 'vitest';
import type { FormatKitOptions } from './kit-options.ts';
import {
  expectNothingVisible,
  expectTyped,
  expectTypedFailure,
  type KitTest,
  kitModel,
  readSnapshot,
  writeSnapshot,
} from './kit-run.ts';

/** Destinations that fail, and users who change their mind. */
export function describeDestinations(kitTest: KitTest, kit: FormatKitOptions): void {
  const model = () => kitModel(kit, { pageCount: 40 });

  kitTest('leaves nothing, or a whole snapshot, whichever put fails', async (storage) => {
    for (let nth = 1; ; nth += 1) {
      const what = `put ${nth}`;
      const faulty = createFaultyStorage(storage, {
        plan: [{ verb: 'put', nth, fault: { kind: 'error', retryable: false } }],
      });
      const outcome = await writeSnapshot(kit, { reader: model().reader, storage: faulty }).then(
        () => undefined,
        (error: unknown) => error,
      );
      // So many puts are not made: all were tried.
      if (faulty.pendingFaults().length > 0) {
        expect(outcome).toBeUndefined();
        break;
      }
      if (outcome === undefined) await expectWhole(kit, storage);
      else {
        expectTyped(outcome, what);
        await expectNothingVisible(kit, storage, what);
      }
      await clear(storage);
    }
  });

  kitTest('leaves nothing when it is aborted at any moment', async (storage) => {
    const fileCount = model().reader.plan?.length ?? 0;
    for (let at = 0; at < fileCount; at += 1) {
      const controller = new AbortController();
      const { reader } = kitModel(kit, {
        pageCount: 40,
        onFile: (entry, index) => {
          if (index === at) controller.abort(new Error('changed my mind'));
          return entry;
        },
      });
      const what = `an abort at file ${at}`;
      await expectTypedFailure(writeSnapshot(kit, { reader, storage, signal: controller.signal }), what);
      await expectNothingVisible(kit, storage, what);
    }
  });

  kitTest('refuses a destination that holds a snapshot, and leaves that one as it is', async (storage) => {
    await writeSnapshot(kit, { reader: model().reader, storage });
    await expectTypedFailure(
      writeSnapshot(kit, { reader: model().reader, storage }),
      'a place that is taken',
    );
    await expectWhole(kit, storage);
  });
}

async function expectWhole(kit: FormatKitOptions, storage: Parameters<typeof readSnapshot>[1]['storage']) {
  expect((await kit.plugin.detect(storage)).found).toBe(true);
  const { files } = await readSnapshot(kit, { storage });
  expect(files.size).toBeGreaterThan(0);
}

async function clear(storage: Parameters<typeof readSnapshot>[1]['storage']): Promise<void> {
  const keys: string[] = [];
  for await (const { objects } of storage.list()) keys.push(...objects.map(({ key }) => key));
  await storage.delete(keys);
}
