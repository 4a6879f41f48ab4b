import { type FileEntry, FormatError, type SnapshotReader } from '@neon-snapshot/format-core';
import { expect } from 'vitest';
import type { FormatKitOptions } from './kit-options.ts';
import {
  expectNothingVisible,
  expectTypedFailure,
  type KitTest,
  kitModel,
  writeSnapshot,
} from './kit-run.ts';
import type { ModelSnapshotOptions } from './model-snapshot.ts';

const HOSTILE_PATHS = [
  '../escape',
  'base/../../escape',
  '/etc/passwd',
  'base//5/1',
  'base/5/./1',
  'base/5/\0',
];

/** Sources that end too early, lie, or mean harm: a typed error, and nothing visible at the destination. */
export function describeSources(kitTest: KitTest, kit: FormatKitOptions): void {
  const { reader: sample } = kitModel(kit, { pageCount: 3 });
  const fileCount = sample.plan?.length ?? 0;
  const refuses = async (
    storage: Parameters<typeof writeSnapshot>[1]['storage'],
    what: string,
    reader: SnapshotReader,
  ) => {
    const error = await expectTypedFailure(writeSnapshot(kit, { reader, storage }), what);
    await expectNothingVisible(kit, storage, what);
    return error;
  };
  const model = (options: ModelSnapshotOptions) => kitModel(kit, { pageCount: 3, ...options }).reader;

  kitTest('leaves nothing of a source that ends at any of its files', async (storage) => {
    for (let last = 0; last < fileCount; last += 1) {
      await refuses(storage, `the end at file ${last}`, withoutEnd(model({}), last));
    }
  });

  kitTest(
    'leaves nothing of a source whose file is shorter, longer, or fails, at any of its files',
    async (storage) => {
      for (let index = 0; index < fileCount; index += 1) {
        for (const [what, change] of Object.entries(BODY_FAULTS)) {
          const reader = model({ onFile: (entry, at) => (at === index ? change(entry) : entry) });
          await refuses(storage, `file ${index} ${what}`, reader);
        }
      }
    },
  );

  kitTest('takes no path that leads elsewhere', async (storage) => {
    for (const path of HOSTILE_PATHS) {
      const reader = model({
        onFile: (entry, at) => (at === 1 ? { ...entry, path } : entry),
        withoutPlan: true,
      });
      await refuses(storage, `the path ${JSON.stringify(path)}`, reader);
    }
  });

  kitTest('takes no link but that of a tablespace', async (storage) => {
    const reader = withEntry(model({ withoutPlan: true }), {
      kind: 'link',
      path: 'base/5/1259',
      target: '/etc',
    });
    await refuses(storage, 'a link at base/5/1259', reader);
  });

  kitTest('leaves nothing of a source whose trailer fails or is damaged', async (storage) => {
    const failing = { ...model({}), finish: async () => Promise.reject(failure()) };
    await refuses(storage, 'a trailer that fails', failing);
    const damaged = { ...model({}), finish: async () => ({ controlFile: new Uint8Array(8192).fill(7) }) };
    await refuses(storage, 'a damaged pg_control', damaged);
  });

  if (kit.plugin.capability.verifiesPages === true) {
    kitTest('verifies page checksums, as it says', async (storage) => {
      const reader = model({
        onFile: (entry) => (entry.path === 'base/5/1259' ? { ...entry, body: flipped(entry.body) } : entry),
      });
      const error = await refuses(storage, 'a page with a wrong checksum', reader);
      expect(error).toMatchObject({ code: 'FORMAT_CORRUPT_PAGE' });
    });
  }
}

const BODY_FAULTS: Readonly<Record<string, (entry: FileEntry) => FileEntry>> = {
  shorter: (entry) => ({ ...entry, sizeBytes: entry.sizeBytes + 8192 }),
  longer: (entry) => ({ ...entry, body: longer(entry.body) }),
  fails: (entry) => ({ ...entry, body: broken(entry.body) }),
};

async function* longer(body: AsyncIterable<Uint8Array>) {
  yield* body;
  yield new Uint8Array(8192);
}

async function* broken(body: AsyncIterable<Uint8Array>) {
  for await (const chunk of body) {
    yield chunk;
    break;
  }
  throw failure();
}

async function* flipped(body: AsyncIterable<Uint8Array>) {
  for await (const chunk of body) {
    const bytes = Uint8Array.from(chunk);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    yield bytes;
  }
}

function failure(): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read source',
    message: 'the source went away',
  });
}

/** The same snapshot in one partition that just stops after so many files. */
function withoutEnd(reader: SnapshotReader, fileCount: number): SnapshotReader {
  return {
    ...reader,
    partitions: () =>
      reader
        .partitions(1)
        .map((partition) => ({ ...partition, entries: firstFiles(partition.entries, fileCount) })),
  };
}

async function* firstFiles<Entry extends { readonly kind: string }>(
  entries: AsyncIterable<Entry>,
  fileCount: number,
) {
  let files = 0;
  for await (const entry of entries) {
    if (entry.kind === 'end' || files === fileCount) return;
    if (entry.kind === 'file') files += 1;
    yield entry;
  }
}

function withEntry(
  reader: SnapshotReader,
  entry: { readonly kind: 'link'; readonly path: string; readonly target: string },
): SnapshotReader {
  return {
    ...reader,
    partitions: () =>
      reader.partitions(1).map((partition) => ({
        ...partition,
        entries: (async function* () {
          yield entry;
          yield* partition.entries;
        })(),
      })),
  };
}
