import {
  copySnapshot,
  createFormatServices,
  describeSource,
  type FormatContext,
  type FormatServices,
  isFormatError,
  type SnapshotReader,
  type WriteResult,
} from '@neon-snapshot/format-core';
import { type ControlFile, crc32c, decodeControlFile } from '@neon-snapshot/postgres';
import { isStorageError, readAll, type Storage, StorageError } from '@neon-snapshot/storage-core';
import { expect, type TestOptions, test } from 'vitest';
import { type FormatKitOptions, TIMEOUT_MS_DEFAULT } from './kit-options.ts';
import { createModelSnapshot, type ModelSnapshot, type ModelSnapshotOptions } from './model-snapshot.ts';

const FILE_BYTES_MAX = 2 ** 30;

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default 2. */
  readonly concurrency?: number;
}

/** What a reader gave. */
export interface ReadSnapshot {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly directories: ReadonlySet<string>;
  readonly control: ControlFile;
}

/** Runs a test of the kit on a fresh location, which is removed afterwards. */
export type KitTest = (name: string, body: (storage: Storage) => Promise<void>) => void;

export function createKitTest(kit: FormatKitOptions): KitTest {
  const options: TestOptions = { timeout: kit.timeoutMs ?? TIMEOUT_MS_DEFAULT };
  return (name, body) => {
    test(name, options, async () => {
      const { storage, cleanup } = await kit.open();
      try {
        await body(storage);
      } finally {
        await storage[Symbol.asyncDispose]();
        await cleanup();
      }
    });
  };
}

/** A model that the format can hold: of its first major, where none is given. */
export function kitModel(kit: FormatKitOptions, options: ModelSnapshotOptions = {}): ModelSnapshot {
  const { walSegmentSizeBytes } = kit;
  return createModelSnapshot({
    major: kit.plugin.capability.majors[0] ?? 17,
    ...(walSegmentSizeBytes === undefined ? {} : { walSegmentSizeBytes }),
    ...options,
  });
}

/** Writes a snapshot as the commands do it. */
export async function writeSnapshot(
  kit: FormatKitOptions,
  {
    reader,
    storage,
    signal,
    concurrency = 2,
  }: RunOptions & { readonly reader: SnapshotReader; readonly storage: Storage },
): Promise<WriteResult> {
  const writer = await kit.plugin.openWriter({
    ...formatContext(kit, { storage, signal, concurrency }),
    options: kit.writeOptions ?? {},
    source: describeSource(reader, 'model'),
  });
  return await copySnapshot({ reader, writer, concurrency, signal });
}

export function openReader(
  kit: FormatKitOptions,
  options: RunOptions & { readonly storage: Storage },
): Promise<SnapshotReader> {
  return kit.plugin.openReader({ ...formatContext(kit, options), options: kit.readOptions ?? {} });
}

/** What a reader and a writer are given alike. */
export function formatContext(
  kit: FormatKitOptions,
  { storage, signal, concurrency = 2 }: RunOptions & { readonly storage: Storage },
): Omit<FormatContext, 'options'> {
  return { storage, services: kitServices(kit), signal, concurrency };
}

/** Reads everything, partitions one after the other. */
export async function readSnapshot(
  kit: FormatKitOptions,
  options: RunOptions & { readonly storage: Storage },
): Promise<ReadSnapshot> {
  await using reader = await openReader(kit, options);
  const files = new Map<string, Uint8Array>();
  const directories = new Set<string>();
  for (const partition of reader.partitions(options.concurrency ?? 2)) {
    let [fileCount, byteCount, hasEnded] = [0, 0, false];
    for await (const entry of partition.entries) {
      expect(hasEnded, `partition ${partition.id} goes on after its end`).toBe(false);
      if (entry.kind === 'directory') directories.add(entry.path);
      if (entry.kind === 'file') {
        expect(files.has(entry.path), `${entry.path} comes twice`).toBe(false);
        const bytes = await readAll(entry.body, { sizeMaxBytes: FILE_BYTES_MAX, key: entry.path });
        expect(bytes.length, `bytes of ${entry.path}`).toBe(entry.sizeBytes);
        if (entry.crc32c !== undefined) {
          expect(entry.crc32c(), `CRC-32C that comes with ${entry.path}`).toBe(crc32c(bytes));
        }
        files.set(entry.path, bytes);
        fileCount += 1;
        byteCount += bytes.length;
      }
      if (entry.kind === 'end') {
        expect([entry.files, entry.bytes], `end of partition ${partition.id}`).toEqual([
          fileCount,
          byteCount,
        ]);
        hasEnded = true;
      }
    }
    expect(hasEnded, `partition ${partition.id} has no end entry`).toBe(true);
  }
  const { controlFile } = await reader.finish();
  return { files, directories, control: decodeControlFile(controlFile) };
}

/** The promise rejects with a `FormatError` or a `StorageError`: never with an accident. Gives the error. */
export async function expectTypedFailure(promise: Promise<unknown>, what: string): Promise<Error> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome, `${what} was not noticed`).toBeDefined();
  expectTyped(outcome, what);
  return outcome as Error;
}

export function expectTyped(error: unknown, what: string): void {
  const isTyped = isFormatError(error) || isStorageError(error);
  expect(isTyped, `${what} failed by accident: ${error instanceof Error ? error.stack : String(error)}`).toBe(
    true,
  );
}

/** After a write that failed: no snapshot is there, and no object but what the format says may stay. */
export async function expectNothingVisible(
  kit: FormatKitOptions,
  storage: Storage,
  what: string,
): Promise<void> {
  const { found } = await kit.plugin.detect(storage);
  expect(found, `${what} left a snapshot`).toBe(false);
  const left = (await keysOf(storage)).filter((key) => kit.isLeftover?.(key) !== true);
  expect(left, `${what} left objects`).toEqual([]);
}

export async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const { objects } of storage.list()) keys.push(...objects.map(({ key }) => key));
  return keys;
}

function kitServices(kit: FormatKitOptions): FormatServices {
  return createFormatServices({
    openStorage: async (url) => {
      throw new StorageError({ code: 'STORAGE_NOT_FOUND', operation: 'open', message: `there is no ${url}` });
    },
    ...kit.services,
    warn: () => undefined,
  });
}
