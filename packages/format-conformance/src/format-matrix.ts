import { copySnapshot, describeSource } from '@neon-snapshot/format-core';
import { describe, expect, test } from 'vitest';
import { type FormatKitOptions, TIMEOUT_MS_DEFAULT } from './kit-options.ts';
import { formatContext, kitModel, readSnapshot, writeSnapshot } from './kit-run.ts';

/**
 * Defines one test for each ordered pair of formats: a model written in the first, copied into the second, has its bytes
 * there. The majors are those that both hold. What has no plan goes through the first format that gives one into one that needs it.
 */
export function describeFormatMatrix(kits: readonly FormatKitOptions[]): void {
  describe('copies between formats', () => {
    for (const from of kits) for (const to of kits) describePair(from, to, kits);
  });
}

function describePair(from: FormatKitOptions, to: FormatKitOptions, kits: readonly FormatKitOptions[]): void {
  const majors = from.plugin.capability.majors.filter((major) => to.plugin.capability.majors.includes(major));
  const walSegmentSizeBytes =
    Math.max(from.walSegmentSizeBytes ?? 0, to.walSegmentSizeBytes ?? 0) || undefined;
  const timeout = Math.max(from.timeoutMs ?? 0, to.timeoutMs ?? 0, TIMEOUT_MS_DEFAULT);
  test.each(majors)(`${from.plugin.name} to ${to.plugin.name}, Postgres %i`, { timeout }, async (major) => {
    const [source, destination] = [await from.open(), await to.open()];
    try {
      const kit = { ...from, ...(walSegmentSizeBytes === undefined ? {} : { walSegmentSizeBytes }) };
      const model = kitModel(kit, { major, pageCount: 40 });
      await writeSnapshot(from, { reader: model.reader, storage: source.storage });
      const target = { to, destination: destination.storage };
      if (!(await copy(from, { source: source.storage, ...target }))) {
        await copyThrough(kits, { from, source: source.storage, ...target });
      }
      const { files } = await readSnapshot(to, { storage: destination.storage });
      for (const [path, expected] of model.files) {
        if (from.isMadeAnew?.(path) === true || to.isMadeAnew?.(path) === true) continue;
        const found = files.get(path);
        expect(found !== undefined && Buffer.from(found).equals(expected), `${path} has other bytes`).toBe(
          true,
        );
      }
    } finally {
      await source.cleanup();
      await destination.cleanup();
    }
  });
}

type Place = Awaited<ReturnType<FormatKitOptions['open']>>['storage'];

interface CopyPlaces {
  readonly source: Place;
  readonly to: FormatKitOptions;
  readonly destination: Place;
}

/** Unpacks to each of the other formats until one gives a plan. */
async function copyThrough(
  kits: readonly FormatKitOptions[],
  { from, source, to, destination }: CopyPlaces & { readonly from: FormatKitOptions },
): Promise<void> {
  for (const middle of kits) {
    if (middle === from || middle === to) continue;
    const between = await middle.open();
    try {
      await copy(from, { source, to: middle, destination: between.storage });
      if (await copy(middle, { source: between.storage, to, destination })) return;
    } finally {
      await between.cleanup();
    }
  }
  expect.fail(`no format of the matrix gives the plan that ${to.plugin.name} needs`);
}

/** False where the source has no plan and the writer needs one: nothing was written. */
async function copy(from: FormatKitOptions, { source, to, destination }: CopyPlaces): Promise<boolean> {
  await using reader = await from.plugin.openReader({
    ...formatContext(from, { storage: source }),
    options: from.readOptions ?? {},
    pagesVerifiedDownstream: to.plugin.capability.verifiesPages === true,
  });
  if (to.plugin.capability.needsPlan === true && reader.plan === undefined) return false;
  const writer = await to.plugin.openWriter({
    ...formatContext(to, { storage: destination }),
    options: to.writeOptions ?? {},
    source: describeSource(reader, from.plugin.name),
  });
  await copySnapshot({ reader, writer, concurrency: 2 });
  return true;
}
