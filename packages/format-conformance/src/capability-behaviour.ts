import { lsn } from '@neon-snapshot/postgres';
import { expect } from 'vitest';
import type { FormatKitOptions } from './kit-options.ts';
import { expectTypedFailure, type KitTest, keysOf, kitModel, openReader, writeSnapshot } from './kit-run.ts';
import type { ModelSnapshotOptions } from './model-snapshot.ts';

const ALL_MAJORS = [14, 15, 16, 17, 18];

/** What a format says it cannot do it refuses, before anything is written. */
export function describeCapability(kitTest: KitTest, kit: FormatKitOptions): void {
  const { capability } = kit.plugin;
  const major = capability.majors[0] ?? 17;
  const refusals: Record<string, ModelSnapshotOptions> = {};
  for (const other of ALL_MAJORS) {
    if (!capability.majors.includes(other)) refusals[`a cluster of Postgres ${other}`] = { major: other };
  }
  if (!capability.tablespaces)
    refusals['user tablespaces'] = {
      major,
      info: { tablespaces: [{ oid: 16_500, location: '/srv/space' }] },
    };
  if (!capability.holdsWal) {
    const consistency = {
      kind: 'needs-wal',
      fromLsn: lsn(0x1500_0000n),
      upToLsn: lsn(0x1500_0078n),
    } as const;
    refusals['a base backup that needs WAL'] = { major, info: { consistency } };
  }
  for (const [name, options] of Object.entries(refusals)) {
    kitTest(`refuses ${name} before anything is written`, async (storage) => {
      const { reader } = kitModel(kit, { pageCount: 3, ...options });
      await expectTypedFailure(writeSnapshot(kit, { reader, storage }), name);
      expect(await keysOf(storage)).toEqual([]);
    });
  }

  kitTest('refuses options that it does not know', async (storage) => {
    const unknown = { no_such_option: 'x' };
    const { reader } = kitModel(kit, { pageCount: 3 });
    const writing = writeSnapshot(
      { ...kit, writeOptions: { ...kit.writeOptions, ...unknown } },
      { reader, storage },
    );
    expect(await expectTypedFailure(writing, 'an unknown write option')).toMatchObject({
      code: 'FORMAT_OPTION',
    });
    expect(await keysOf(storage)).toEqual([]);
    await writeSnapshot(kit, { reader: kitModel(kit, { pageCount: 3 }).reader, storage });
    const reading = openReader({ ...kit, readOptions: { ...kit.readOptions, ...unknown } }, { storage });
    expect(await expectTypedFailure(reading, 'an unknown read option')).toMatchObject({
      code: 'FORMAT_OPTION',
    });
  });
}
