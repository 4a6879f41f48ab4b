import { randomBytes } from 'node:crypto';
import {
  isStorageError,
  readAll,
  type Storage,
  StorageError,
  type StorageErrorCode,
} from '@neon-snapshot/storage-core';

export interface ProbeResult {
  readonly name: string;
  readonly outcome: 'works' | 'missing' | 'failed';
  /** Why it failed, or what a missing ability costs. */
  readonly detail: string;
}

interface Probe {
  readonly name: string;
  /** What a store without it costs; absent where nothing works without it. */
  readonly cost?: string;
  run(context: ProbeContext): Promise<void>;
}

interface ProbeContext {
  readonly storage: Storage;
  readonly signal: AbortSignal;
}

const SMALL_BYTES = 1000;
/** More than one part of a multipart upload. */
const LARGE_BYTES = 20 * 1024 * 1024;

const PROBES: readonly Probe[] = [
  { name: 'put and get', run: putAndGet },
  { name: 'get a range', run: getRange },
  { name: 'replace an object', run: replaceObject },
  { name: 'put a stream of 20 MiB', run: putStream },
  { name: 'list in key order', run: listInOrder },
  {
    name: 'put only if absent',
    cost: 'no protection against two writers: `neon init` and `neon export` warn',
    run: putIfAbsent,
  },
  {
    name: 'put only if unchanged',
    cost: 'the writer lease falls back to put only if absent',
    run: putIfUnchanged,
  },
  { name: 'copy inside the store', cost: 'copies go through this machine', run: copyInside },
  { name: 'delete', run: deleteAll },
];

/** Tries every verb of the port on an empty scratch storage and leaves it empty. */
export async function runStorageProbes(
  storage: Storage,
  signal: AbortSignal,
): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  try {
    for (const probe of PROBES) results.push(await runProbe(probe, { storage, signal }));
  } finally {
    await storage.delete(await allKeys(storage)).catch(() => undefined);
  }
  return results;
}

async function runProbe(probe: Probe, context: ProbeContext): Promise<ProbeResult> {
  try {
    await probe.run(context);
    return { name: probe.name, outcome: 'works', detail: '' };
  } catch (error) {
    if (context.signal.aborted) throw error;
    if (probe.cost !== undefined && isStorageError(error, 'STORAGE_UNSUPPORTED')) {
      return { name: probe.name, outcome: 'missing', detail: probe.cost };
    }
    return {
      name: probe.name,
      outcome: 'failed',
      detail: error instanceof Error ? error.message : String(error),
    };
  }
}

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

async function putIfAbsent({ storage, signal }: ProbeContext): Promise<void> {
  await storage.put('probe/once', new Uint8Array(1), { ifNoneMatch: '*', signal });
  await expectCode('STORAGE_ALREADY_EXISTS', () =>
    storage.put('probe/once', new Uint8Array(2), { ifNoneMatch: '*', signal }),
  );
}

async function putIfUnchanged({ storage, signal }: ProbeContext): Promise<void> {
  const { etag } = await storage.put('probe/version', new Uint8Array(1), { signal });
  await storage.put('probe/version', new Uint8Array(2), { ifMatch: etag ?? '', signal });
  await expectCode('STORAGE_PRECONDITION_FAILED', () =>
    storage.put('probe/version', new Uint8Array(3), { ifMatch: etag ?? '', signal }),
  );
}

async function copyInside({ storage, signal }: ProbeContext): Promise<void> {
  const body = randomBytes(SMALL_BYTES);
  await storage.put('probe/from', body, { signal });
  if (storage.copy === undefined) {
    throw new StorageError({
      code: 'STORAGE_UNSUPPORTED',
      operation: 'copy',
      message: 'this storage has no copy',
    });
  }
  await storage.copy('probe/from', 'probe/to', { signal });
  await expectBody(storage, 'probe/to', body);
}

async function deleteAll({ storage, signal }: ProbeContext): Promise<void> {
  await storage.delete([...(await allKeys(storage)), 'probe/none'], { signal });
  expect((await allKeys(storage)).length === 0, 'objects are still listed after delete');
}

async function allKeys(storage: Storage): Promise<string[]> {
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
  try {
    await call();
  } catch (error) {
    if (isStorageError(error, code)) return;
    throw error;
  }
  throw new Error(`expected ${code}, the call succeeded`);
}

function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
