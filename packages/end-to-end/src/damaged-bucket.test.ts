import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findPostgres, startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { filesBelow } from './testing/files-below.ts';
import { FIXTURE_DIRECTORY, type FixtureBucket, openFixtureBucket } from './testing/fixture-bucket.ts';
import { type ExportOutcome, exportInProcess } from './testing/in-process-export.ts';
import { neonFailure } from './testing/neon-failure.ts';

/** One export of the fixture takes less than a second; the limit leaves room for a busy machine. */
const CASE_MS_MAX = 20_000;
const TIMEOUT = { timeout: 180_000 } as const;
const BLOCK_BYTES = 8192;
/** Of the test runner, the bucket, the exported files (40 MB, several times before they are collected) and the decoding threads. */
const RESIDENT_BYTES_MAX = 700 * 2 ** 20;
/** Of the header of a delta layer, which is the longer one; and as many of a node of its index as one entry has. */
const HEAD_BYTES = 96;
const NODE_BYTES = 64;

let bucket: FixtureBucket;
let intact: ReadonlyMap<string, string>;

beforeAll(async () => {
  bucket = await openFixtureBucket();
  const outcome = await exportInProcess(bucket.storage, { timeoutMs: CASE_MS_MAX });
  if (outcome.kind === 'error') throw new Error(`the intact fixture fails: ${outcome.message}`);
  intact = outcome.digests;
});

/** What an export says with an object changed, or gone. */
async function outcomeWith(key: string, bytes: Uint8Array | undefined): Promise<ExportOutcome> {
  const original = bucket.objects.get(key);
  if (original === undefined) throw new Error(`the fixture has no ${key}`);
  if (bytes === undefined) await bucket.storage.delete([key]);
  else await bucket.storage.put(key, bytes);
  try {
    return await exportInProcess(bucket.storage, { timeoutMs: CASE_MS_MAX });
  } finally {
    await bucket.storage.put(key, original);
  }
}

function expectError(outcome: ExportOutcome, code: RegExp, what: string): void {
  if (outcome.kind === 'files') throw new Error(`${what} went through`);
  expect(outcome.code, what).toMatch(code);
  expect(outcome.leftKeys, what).toEqual([]);
}

/** An error that leaves nothing, or an export with all files, of which at most so many differ. */
function expectErrorOrFiles(outcome: ExportOutcome, differingMax: number, what: string): void {
  if (outcome.kind === 'error') {
    expectError(outcome, /^(FORMAT|STORAGE)_/, what);
    return;
  }
  expect([...outcome.digests.keys()].sort(), what).toEqual([...intact.keys()].sort());
  const differing = [...intact].filter(
    ([file, digest]) => file !== 'backup_manifest' && outcome.digests.get(file) !== digest,
  );
  expect(differing.length, `${what}: ${differing.map(([file]) => file).join()}`).toBeLessThanOrEqual(
    differingMax,
  );
}

function bytesOf(key: string): Uint8Array {
  return bucket.objects.get(key) ?? new Uint8Array(0);
}

function flipped(key: string, offset: number, mask: number): Uint8Array {
  const bytes = Uint8Array.from(bytesOf(key));
  bytes[offset] = (bytes[offset] ?? 0) ^ mask;
  return bytes;
}

/** Layers of every kind: the first image with directories, the delta, one of relations alone, the last one. */
function chosenLayers(): string[] {
  const delta = bucket.layerKeys.findIndex((key) => /__[0-9A-F]{16}-[0-9A-F]{16}/.test(key));
  return [0, delta, 12, bucket.layerKeys.length - 1].map((index) => bucket.layerKeys[index] ?? '');
}

describe('an export of a damaged bucket is a typed error that leaves nothing, or right', () => {
  it('with a layer missing', TIMEOUT, async () => {
    for (const key of bucket.layerKeys) {
      const outcome = await outcomeWith(key, undefined);
      expectError(outcome, /^FORMAT_TRUNCATED$/, key);
      expect(outcome).toMatchObject({ message: expect.stringContaining(key) });
    }
  });

  it('with a layer cut or longer', TIMEOUT, async () => {
    for (const key of bucket.layerKeys) {
      const bytes = bytesOf(key);
      for (const length of [
        0,
        1,
        BLOCK_BYTES,
        bytes.length >> 1,
        bytes.length - BLOCK_BYTES,
        bytes.length - 1,
      ])
        expectError(await outcomeWith(key, bytes.slice(0, length)), /^FORMAT_/, `${key} cut at ${length}`);
      const longer = Buffer.concat([bytes, new Uint8Array(BLOCK_BYTES)]);
      expectError(await outcomeWith(key, longer), /^FORMAT_/, `${key} with a block more`);
    }
  });

  it('with the index cut at any byte', TIMEOUT, async () => {
    const bytes = bytesOf(bucket.indexKey);
    for (let length = 0; length < bytes.length; length++) {
      const outcome = await outcomeWith(bucket.indexKey, bytes.slice(0, length));
      expectError(outcome, /^FORMAT_INVALID$/, `cut at ${length}`);
    }
  });

  it('with a character of the index changed', TIMEOUT, async () => {
    const size = bytesOf(bucket.indexKey).length;
    for (let offset = 0; offset < size; offset += 37)
      expectErrorOrFiles(
        await outcomeWith(bucket.indexKey, flipped(bucket.indexKey, offset, 1)),
        intact.size,
        `index, byte ${offset}`,
      );
  });

  it('with a byte of a layer header changed', TIMEOUT, async () => {
    for (const key of chosenLayers())
      for (let offset = 0; offset < HEAD_BYTES; offset += 13)
        expectErrorOrFiles(await outcomeWith(key, flipped(key, offset, 0xff)), 0, `${key}, byte ${offset}`);
  });

  it('with a byte of a node of a layer index changed', TIMEOUT, async () => {
    for (const key of chosenLayers()) {
      const root = bytesOf(key).length - BLOCK_BYTES;
      for (let offset = 0; offset < NODE_BYTES; offset += 11)
        expectErrorOrFiles(
          await outcomeWith(key, flipped(key, root + offset, 0xff)),
          4,
          `${key}, node byte ${offset}`,
        );
    }
  });

  it('with a byte of stored values changed, in at most the page that it is in', TIMEOUT, async () => {
    for (const [index, key] of bucket.layerKeys.entries()) {
      if (index % 3 > 0) continue;
      const offset = BLOCK_BYTES + ((index * 7919) % (bytesOf(key).length - 2 * BLOCK_BYTES));
      expectErrorOrFiles(await outcomeWith(key, flipped(key, offset, 0x41)), 4, `${key}, byte ${offset}`);
    }
  });

  it('within bounded memory', () => {
    expect(process.memoryUsage.rss()).toBeLessThan(RESIDENT_BYTES_MAX);
  });
});

describe('neon export of a damaged bucket', () => {
  let scratch: ScratchDirectory;
  beforeAll(async () => {
    scratch = await makeScratchDirectory();
  });
  afterAll(() => scratch[Symbol.asyncDispose]());

  const CASES = [
    [
      'an index without its end',
      () => bucket.indexKey,
      (file: string) => truncate(file, 2000),
      /index_part\.json.* is not valid/,
    ],
    [
      'a layer that is not there',
      () => bucket.layerKeys[5] ?? '',
      (file: string) => rm(file),
      /the index lists it, but it is not there/,
    ],
    [
      'half a layer',
      () => bucket.layerKeys[5] ?? '',
      (file: string) => truncate(file, 3 * BLOCK_BYTES),
      /is shorter|has 24576 bytes, the index says/,
    ],
    ['a layer of zeros', () => bucket.layerKeys[5] ?? '', zeros, /magic/],
  ] as const;

  it.each(CASES)(
    'with %s exits with 3 and leaves no directory that Postgres starts on',
    TIMEOUT,
    async (what, keyOf, damage, says) => {
      const copy = path.join(scratch.path, what);
      await cp(FIXTURE_DIRECTORY, copy, { recursive: true });
      await damage(path.join(copy, keyOf()));
      const dataDirectory = path.join(scratch.path, `${what}, exported`);
      const failure = await neonFailure([
        'export',
        `--storage_dest=${copy}`,
        `--snapshot_path=${dataDirectory}`,
      ]);
      expect(failure.message).toMatch(says);
      expect(failure).toMatchObject({ exitCode: 3, code: expect.stringMatching(/^FORMAT_/) });
      expect(await filesBelow(dataDirectory)).toEqual([]);
      await mkdir(dataDirectory, { recursive: true });
      const installation = await findPostgres({ major: 17 });
      await expect(startPostgres({ installation, dataDirectory })).rejects.toThrow(
        /PG_VERSION|pg_control|not a|postgresql\.conf/,
      );
    },
  );
});

async function zeros(file: string): Promise<void> {
  await writeFile(file, new Uint8Array((await readFile(file)).length));
}
