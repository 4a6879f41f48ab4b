import {
  assertKnownOptions,
  FormatError,
  type ReadContext,
  type SnapshotEntry,
  type SnapshotReader,
  withEnd,
} from '@neon-snapshot/format-core';
import { crc32c } from '@neon-snapshot/postgres';
import { fileKey, readSnapshot, type StoredFile, type StoredSnapshot } from './stored-snapshot.ts';

type Entry = Exclude<SnapshotEntry, { readonly kind: 'end' }>;

/** Opens the snapshot: reads its index and no file. */
export async function openReader(context: ReadContext): Promise<SnapshotReader> {
  assertKnownOptions(context.options, []);
  const snapshot = await readSnapshot(context.storage, context);
  const plan = snapshot.files.map(({ path, sizeBytes }) => ({ path, sizeBytes }));
  return {
    info: snapshot.info,
    plan,
    partitions: (countMax) =>
      divide(snapshot.files, countMax).map((files, index) => ({
        id: `${index}`,
        plan: files.map(({ path, sizeBytes }) => ({ path, sizeBytes })),
        entries: withEnd(entries(context, { snapshot, files, isFirst: index === 0 })),
      })),
    finish: async () => ({ controlFile: snapshot.controlFile }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** The first partition starts with all directories. */
async function* entries(
  context: ReadContext,
  of: {
    readonly snapshot: StoredSnapshot;
    readonly files: readonly StoredFile[];
    readonly isFirst: boolean;
  },
): AsyncGenerator<Entry> {
  if (of.isFirst) for (const path of of.snapshot.directories) yield { kind: 'directory', path };
  for (const file of of.files) {
    yield { kind: 'file', path: file.path, sizeBytes: file.sizeBytes, body: checkedBody(context, file) };
  }
}

async function* checkedBody({ storage, signal }: ReadContext, file: StoredFile): AsyncGenerator<Uint8Array> {
  const { body } = await storage.get(fileKey(file.path), { signal });
  let crc = 0;
  let sizeBytes = 0;
  for await (const chunk of body) {
    crc = crc32c(chunk, crc);
    sizeBytes += chunk.length;
    yield chunk;
  }
  if (sizeBytes === file.sizeBytes && crc === file.crc32c) return;
  throw new FormatError({
    code: sizeBytes < file.sizeBytes ? 'FORMAT_TRUNCATED' : 'FORMAT_CHECKSUM',
    operation: 'read file',
    message: `${fileKey(file.path)} in ${storage.url} is not the file that was stored: expected ${file.sizeBytes} bytes with CRC-32C ${file.crc32c}, found ${sizeBytes} with ${crc}`,
    context: { path: file.path },
  });
}

/** At most `countMax` runs of about the same number of files, at least one. */
function divide(files: readonly StoredFile[], countMax: number): StoredFile[][] {
  const size = Math.max(1, Math.ceil(files.length / Math.max(1, countMax)));
  const runs = Array.from({ length: Math.ceil(files.length / size) }, (_, index) =>
    files.slice(index * size, (index + 1) * size),
  );
  return runs.length === 0 ? [[]] : runs;
}
