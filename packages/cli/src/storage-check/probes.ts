import { randomBytes } from 'node:crypto';
import {
  isStorageError,
  readAll,
  type Storage,
  StorageError,
  type StorageErrorCode,
  type StorageOperation,
} from '@neon-snapshot/storage-core';

/** What a store without an ability still serves for. */
export type ProbeNeed =
  /** Nothing at all. */
  | 'everything'
  /** Snapshots; but not as `storage_dest`. */
  | 'storage_dest'
  /** `storage_dest` too where the user answers for it. */
  | 'two writers'
  /** Everything; it is a matter of comfort. */
  | 'comfort';

export interface Probe {
  readonly name: string;
  readonly need: ProbeNeed;
  /** What a store without it costs its user. */
  readonly cost: string;
  /** Throws a {@link MissingAbility} or `STORAGE_UNSUPPORTED` where the store lacks it, anything else where it fails. */
  run(context: ProbeContext): Promise<void>;
}

export interface ProbeContext {
  readonly storage: Storage;
  readonly signal: AbortSignal;
}

/** The store does something else than it was asked for, without an error. */
export class MissingAbility extends Error {
  override readonly name = 'MissingAbility';
}

const SMALL_BYTES = 1000;
/** More than one part of a multipart upload. */
const LARGE_BYTES = 20 * 1024 * 1024;

const RACERS = 8;
const UNUSABLE = 'neon cannot use this store';
const TWO_WRITERS =
  '`neon init` and `neon start` refuse this store unless --unsafe_no_lease is given: two writers could each destroy what the other has written, and neither would hear of it; snapshots can be copied here';

export const PROBES: readonly Probe[] = [
  { name: 'put and get', need: 'everything', cost: UNUSABLE, run: putAndGet },
  { name: 'get a range', need: 'everything', cost: UNUSABLE, run: getRange },
  { name: 'replace an object', need: 'everything', cost: UNUSABLE, run: replaceObject },
  { name: 'put a stream of 20 MiB', need: 'everything', cost: UNUSABLE, run: putStream },
  { name: 'list in key order', need: 'everything', cost: UNUSABLE, run: listInOrder },
  {
    name: 'show at once what was put',
    need: 'storage_dest',
    cost: '`neon start` refuses this store: a new owner could miss WAL that was acknowledged; snapshots can be copied here',
    run: showAtOnce,
  },
  { name: 'put only if absent', need: 'two writers', cost: TWO_WRITERS, run: putIfAbsent },
  {
    name: `let one of ${RACERS} puts only if absent win`,
    need: 'two writers',
    cost: TWO_WRITERS,
    run: putIfAbsentInRace,
  },
  { name: 'put only if unchanged', need: 'two writers', cost: TWO_WRITERS, run: putIfUnchanged },
  {
    name: 'copy inside the store',
    need: 'comfort',
    cost: 'what is copied inside of it goes through this machine',
    run: copyInside,
  },
  {
    name: 'keep directories and links',
    need: 'comfort',
    cost: 'a data directory that is exported here has to be fetched before Postgres can run on it, and its tablespaces cannot be mapped',
    run: keepTree,
  },
  { name: 'delete', need: 'everything', cost: UNUSABLE, run: deleteAll },
];

async function putAndGet({ storage, signal }: ProbeContext): Promise<void> {
  const body = randomBytes(SMALL_BYTES);
  await storage.put('probe/a b+c%/é.bin', body, { signal });
  await expectBody(storage, 'probe/a b+c%/é.bin', body);
  expect(
    (await storage.head('probe/a b+c%/é.bin', { signal })).sizeBytes === SMALL_BYTES,
    'head gave another size',
  );
  await expectCode('STORAGE_NOT_FOUND', () => storage.head('probe/none', { signal }));
}

async function getRange({ storage, signal }: ProbeContext): Promise<void> {
  const body = randomBytes(SMALL_BYTES);
  await storage.put('probe/range', body, { signal });
  const { body: part } = await storage.get('probe/range', { range: { offset: 100, length: 50 }, signal });
  const bytes = await readAll(part, { sizeMaxBytes: SMALL_BYTES });
  expect(Buffer.compare(bytes, body.subarray(100, 150)) === 0, 'a range gave other bytes than were put');
}

async function replaceObject({ storage, signal }: ProbeContext): Promise<void> {
  await storage.put('probe/replaced', randomBytes(SMALL_BYTES), { signal });
  const second = randomBytes(SMALL_BYTES + 1);
  await storage.put('probe/replaced', second, { signal });
  await expectBody(storage, 'probe/replaced', second);
}

async function putStream({ storage, signal }: ProbeContext): Promise<void> {
  const chunk = randomBytes(1024 * 1024);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < LARGE_BYTES; sent += chunk.length) yield new Uint8Array(chunk);
  }
  const { sizeBytes } = await storage.put('probe/large', chunks(), { sizeBytes: LARGE_BYTES, signal });
  expect(sizeBytes === LARGE_BYTES, `put reported ${sizeBytes} bytes, expected ${LARGE_BYTES}`);
  const offset = LARGE_BYTES - chunk.length;
  const { body } = await storage.get('probe/large', { range: { offset, length: chunk.length }, signal });
  expect(
    Buffer.compare(await readAll(body, { sizeMaxBytes: chunk.length }), chunk) === 0,
    'the end of the stream differs',
  );
}

async function listInOrder({ storage, signal }: ProbeContext): Promise<void> {
  // `-` and `.` come before `/`, digits after it: a walk of directories gets that wrong easily.
  const keys = ['list/a-b', 'list/a.b', 'list/a/b', 'list/a0', 'list/b'];
  for (const key of keys) await storage.put(key, new Uint8Array(1), { signal });
  const found = (await allKeys(storage)).filter((key) => key.startsWith('list/'));
  const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect(found.join() === sorted.join(), `expected ${sorted.join(', ')}, found ${found.join(', ')}`);
}

async function showAtOnce({ storage, signal }: ProbeContext): Promise<void> {
  if (storage.capability.consistency === 'eventual')
    throw unsupported('get', 'says that it shows a change only later');
  const keyOf = (round: number) => `probe/seen-${round}`;
  for (let round = 0; round < 5; round++) {
    const body = randomBytes(SMALL_BYTES);
    await storage.put(keyOf(round), body, { signal });
    await expectBody(storage, keyOf(round), body).catch((cause: unknown) => {
      throw new MissingAbility('an object that was just put could not be read', { cause });
    });
    assertHas((await allKeys(storage)).includes(keyOf(round)), 'an object that was just put was not listed');
    await storage.delete([keyOf(round)], { signal });
    assertHas(!(await allKeys(storage)).includes(keyOf(round)), 'an object that was just deleted was listed');
  }
}

async function putIfAbsent({ storage, signal }: ProbeContext): Promise<void> {
  await storage.put('probe/once', new Uint8Array(1), { ifNoneMatch: '*', signal });
  await expectRefusal('STORAGE_ALREADY_EXISTS', () =>
    storage.put('probe/once', new Uint8Array(2), { ifNoneMatch: '*', signal }),
  );
}

async function putIfAbsentInRace({ storage, signal }: ProbeContext): Promise<void> {
  const attempts = Array.from({ length: RACERS }, (_, racer) =>
    storage.put('probe/race', new Uint8Array(racer + 1), { ifNoneMatch: '*', signal }).then(
      () => true,
      (error: unknown) => {
        if (isStorageError(error, 'STORAGE_ALREADY_EXISTS')) return false;
        throw error;
      },
    ),
  );
  const winners = (await Promise.all(attempts)).filter((hasWon) => hasWon).length;
  assertHas(winners === 1, `${winners} of ${RACERS} were told that theirs is there`);
}

async function putIfUnchanged({ storage, signal }: ProbeContext): Promise<void> {
  const { etag } = await storage.put('probe/version', new Uint8Array(1), { signal });
  await storage.put('probe/version', new Uint8Array(2), { ifMatch: etag ?? '', signal });
  await expectRefusal('STORAGE_PRECONDITION_FAILED', () =>
    storage.put('probe/version', new Uint8Array(3), { ifMatch: etag ?? '', signal }),
  );
}

async function copyInside({ storage, signal }: ProbeContext): Promise<void> {
  const body = randomBytes(SMALL_BYTES);
  await storage.put('probe/from', body, { signal });
  if (storage.copy === undefined) throw unsupported('copy', 'has no copy');
  await storage.copy('probe/from', 'probe/to', { signal });
  await expectBody(storage, 'probe/to', body);
}

async function keepTree({ storage, signal }: ProbeContext): Promise<void> {
  const { fileTree } = storage;
  if (fileTree === undefined) throw unsupported('tree', 'has no directories');
  await fileTree.makeDirectory('tree', { mode: 0o700, signal });
  await fileTree.makeLink('tree/link', '../probe', { signal });
  await fileTree.sync({ signal });
  expect((await storage.head('tree/link', { signal })).linkTarget === '../probe', 'a link points elsewhere');
}

async function deleteAll({ storage, signal }: ProbeContext): Promise<void> {
  await storage.delete([...(await allKeys(storage)), 'probe/none'], { signal });
  expect((await allKeys(storage)).length === 0, 'objects are still listed after delete');
}

export async function allKeys(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of storage.list()) keys.push(...page.objects.map((object) => object.key));
  return keys;
}

async function expectBody(storage: Storage, key: string, expected: Uint8Array): Promise<void> {
  const { body } = await storage.get(key);
  const found = await readAll(body, { sizeMaxBytes: expected.length + 1 });
  expect(Buffer.compare(found, expected) === 0, `get of ${key} gave other bytes than were put`);
}

async function expectCode(code: StorageErrorCode, call: () => Promise<unknown>): Promise<void> {
  if (!(await isRefused(code, call))) throw new Error(`expected ${code}, the call succeeded`);
}

async function expectRefusal(code: StorageErrorCode, call: () => Promise<unknown>): Promise<void> {
  assertHas(await isRefused(code, call), 'the condition was ignored');
}

async function isRefused(code: StorageErrorCode, call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return false;
  } catch (error) {
    if (isStorageError(error, code)) return true;
    throw error;
  }
}

function assertHas(condition: boolean, message: string): void {
  if (!condition) throw new MissingAbility(message);
}

function unsupported(operation: StorageOperation, what: string): StorageError {
  return new StorageError({ code: 'STORAGE_UNSUPPORTED', operation, message: `this storage ${what}` });
}

function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
