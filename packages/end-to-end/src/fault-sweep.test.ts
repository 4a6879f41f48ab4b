import { plugin as basebackup } from '@neon-snapshot/format-basebackup';
import { createModelSnapshot } from '@neon-snapshot/format-conformance';
import type { FormatPlugin } from '@neon-snapshot/format-core';
import {
  copySnapshot,
  createFormatServices,
  describeSource,
  isFormatError,
} from '@neon-snapshot/format-core';
import { plugin as neon } from '@neon-snapshot/format-neon';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { acquireLease, isRepositoryError } from '@neon-snapshot/repository';
import { type SweptCase, sweepFaults } from '@neon-snapshot/storage-conformance';
import { createMemoryStorage, isStorageError, type Storage, StorageError } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';

/** CI sweeps wider; a case takes up to a second on a busy machine. */
const CALLS_OF_VERB = process.env.CI === undefined ? 1 : 6;
const TIMEOUT = { timeout: 600_000 } as const;
const SEGMENT_BYTES = 16 * 1024 * 1024;
const IDS = { tenant_id: 'a'.repeat(32), timeline_id: 'b'.repeat(32) };

const services = createFormatServices({
  openStorage: async (url) => {
    throw new StorageError({ code: 'STORAGE_NOT_FOUND', operation: 'open', message: `there is no ${url}` });
  },
  acquireLease: (request) => acquireLease({ ...request, command: 'neon init' }),
  warn: () => undefined,
});

function model() {
  return createModelSnapshot({ pageCount: 20, walSegmentSizeBytes: SEGMENT_BYTES });
}

async function writeModel(format: FormatPlugin, storage: Storage): Promise<void> {
  const { reader } = model();
  const options = format === neon ? IDS : {};
  const source = describeSource(reader, 'model');
  const writer = await format.openWriter({ storage, options, services, source, concurrency: 2 });
  await copySnapshot({ reader, writer, concurrency: 2 });
}

async function copy(
  from: FormatPlugin,
  source: Storage,
  to: FormatPlugin,
  destination: Storage,
): Promise<void> {
  await using reader = await from.openReader({ storage: source, options: {}, services, concurrency: 2 });
  const writer = await to.openWriter({
    storage: destination,
    options: {},
    services,
    source: describeSource(reader, from.name),
    concurrency: 2,
  });
  await copySnapshot({ reader, writer, concurrency: 2 });
}

/** Every file of the model but WAL, whose end an export moves. */
async function expectWhole(format: FormatPlugin, storage: Storage, what: string): Promise<void> {
  const { files } = model();
  await using reader = await format.openReader({ storage, options: {}, services, concurrency: 1 });
  const found = new Map<string, Buffer>();
  for (const partition of reader.partitions(1)) {
    for await (const entry of partition.entries) {
      if (entry.kind !== 'file') continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry.body) chunks.push(chunk);
      found.set(entry.path, Buffer.concat(chunks));
    }
  }
  for (const [path, bytes] of files) {
    if (path.startsWith('pg_wal/')) continue;
    expect(found.get(path)?.equals(bytes), `${what}: ${path}`).toBe(true);
  }
}

/** Done and whole, or failed by a typed error with nothing visible; and what retries can settle, they settle. */
async function expectRight(
  { name, outcome, hasRetries, planned, retries }: SweptCase<unknown>,
  format: FormatPlugin,
  destination: Storage,
): Promise<void> {
  const isThrottled = planned.fault.kind === 'error';
  if (isThrottled && hasRetries) expect(retries.length, `${name}: the retry is not told`).toBeGreaterThan(0);
  if (outcome.kind === 'done') {
    await expectWhole(format, destination, name);
    return;
  }
  const { error } = outcome;
  const isTyped = isFormatError(error) || isStorageError(error) || isRepositoryError(error);
  expect(isTyped, `${name}: ${error instanceof Error ? error.stack : String(error)}`).toBe(true);
  expect((await format.detect(destination)).found, `${name} left a snapshot`).toBe(false);
  expect(
    isThrottled && hasRetries,
    `${name} is not settled by ${retries.length} retries: ${String(error)}`,
  ).toBe(false);
}

async function filled(format: FormatPlugin): Promise<Storage> {
  const storage = createMemoryStorage();
  await writeModel(format, storage);
  return storage;
}

async function copyOf(original: Storage): Promise<Storage> {
  const storage = createMemoryStorage();
  for await (const { objects } of original.list()) {
    for (const { key } of objects) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await original.get(key)).body) chunks.push(chunk);
      await storage.put(key, Buffer.concat(chunks));
    }
  }
  return storage;
}

const nothing = async () => undefined;

test(
  'an import leaves its destination empty or whole, whatever happens to any of its calls',
  TIMEOUT,
  async () => {
    const report = await sweepFaults({
      open: async () => ({ storage: createMemoryStorage(), cleanup: nothing }),
      flow: (storage) => writeModel(neon, storage),
      check: (swept) => expectRight(swept, neon, swept.storage),
      callsOfVerbMax: CALLS_OF_VERB,
    });
    expect(report.cases).toBeGreaterThan(20);
    expect(report.failed).toBeGreaterThan(0);
    expect(report.retried).toBeGreaterThan(0);
  },
);

test(
  'an export survives or reports whatever happens to a read, and its destination is empty or whole',
  TIMEOUT,
  async () => {
    const bucket = await filled(neon);
    let destination = createMemoryStorage();
    const report = await sweepFaults({
      open: async () => {
        destination = createMemoryStorage();
        return { storage: await copyOf(bucket), cleanup: nothing };
      },
      flow: (storage) => copy(neon, storage, pgdata, destination),
      check: (swept) => expectRight(swept, pgdata, destination),
      callsOfVerbMax: CALLS_OF_VERB,
    });
    expect(report.failed).toBeGreaterThan(0);
    expect(report.retried).toBeGreaterThan(0);
  },
);

test.each([pgdata, basebackup])(
  'a copy of a data directory to $name leaves its destination empty or whole, whatever happens to a write',
  TIMEOUT,
  async (format) => {
    const directory = await filled(pgdata);
    const report = await sweepFaults({
      open: async () => ({ storage: createMemoryStorage(), cleanup: nothing }),
      flow: (storage) => copy(pgdata, directory, format, storage),
      check: (swept) => expectRight(swept, format, swept.storage),
      callsOfVerbMax: CALLS_OF_VERB,
    });
    expect(report.failed).toBeGreaterThan(0);
    expect(report.retried).toBeGreaterThan(0);
  },
);
