import { expect } from 'vitest';
import type { FormatKitOptions } from './kit-options.ts';
import { type KitTest, kitModel, openReader, readSnapshot, writeSnapshot } from './kit-run.ts';
import type { ModelSnapshot } from './model-snapshot.ts';

export function describeRoundTrips(kitTest: KitTest, kit: FormatKitOptions): void {
  for (const major of kit.plugin.capability.majors) {
    for (const dataChecksums of [true, false]) {
      kitTest(
        `gives back a Postgres ${major} cluster, checksums ${dataChecksums ? 'on' : 'off'}`,
        async (storage) => {
          const model = kitModel(kit, { major, dataChecksums });
          await writeSnapshot(kit, { reader: model.reader, storage });
          await using reader = await openReader(kit, { storage });
          const { systemIdentifier, postgresMajor, catalogVersion, blockSizeBytes } = model.reader.info;
          expect(reader.info).toMatchObject({
            systemIdentifier,
            postgresMajor,
            catalogVersion,
            blockSizeBytes,
          });
          expect(reader.info.dataChecksums).toBe(dataChecksums);
          expect(reader.info.lsn).toBeGreaterThanOrEqual(model.reader.info.lsn);
          await expectModel(kit, { model, storage });
        },
      );
    }
  }

  kitTest('gives the same files in any number of partitions, written by any number', async (storage) => {
    const model = kitModel(kit);
    await writeSnapshot(kit, { reader: model.reader, storage, concurrency: 5 });
    for (const concurrency of [1, 3, 16]) await expectModel(kit, { model, storage, concurrency });
  });

  kitTest('detects a snapshot where one was written and none in an empty place', async (storage) => {
    const empty = await kit.plugin.detect(storage);
    expect(empty.found).toBe(false);
    expect(empty.reason).not.toBe('');
    const { reader } = kitModel(kit);
    await writeSnapshot(kit, { reader, storage });
    expect((await kit.plugin.detect(storage)).found).toBe(true);
  });
}

async function expectModel(
  kit: FormatKitOptions,
  of: {
    readonly model: ModelSnapshot;
    readonly storage: Parameters<typeof readSnapshot>[1]['storage'];
    readonly concurrency?: number;
  },
): Promise<void> {
  const { model } = of;
  const { files, control } = await readSnapshot(kit, of);
  expect(control.systemIdentifier).toBe(model.reader.info.systemIdentifier);
  for (const [path, expected] of model.files) {
    if (kit.isMadeAnew?.(path) === true) continue;
    const found = files.get(path);
    expect(found, `${path} is missing`).toBeDefined();
    expect(found !== undefined && Buffer.from(found).equals(expected), `${path} has other bytes`).toBe(true);
  }
}
