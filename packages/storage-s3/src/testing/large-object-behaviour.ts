import type { Storage } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import type { S3StorageOptions } from '../options.ts';
import { chunked, failureOf, MIB, pattern, readWhole } from './with-server.ts';

const PART = 5 * MIB;

/** Objects of several parts, which the behaviour kit is too small for: the same on every server. */
export function describeLargeObjects(
  openWith: (
    options: Partial<S3StorageOptions>,
  ) => Promise<{ readonly storage: Storage; cleanup(): Promise<void> }>,
  facts: { readonly hasChecksums: boolean },
): void {
  const withStorage =
    (options: Partial<S3StorageOptions>, run: (storage: Storage) => Promise<void>) => async () => {
      const { storage, cleanup } = await openWith({ partSizeBytes: PART, ...options });
      try {
        await run(storage);
      } finally {
        await cleanup();
      }
    };
  const bytes = pattern(2 * PART + 12_345);

  test(
    'a body of three parts is read back, whole and across a part boundary',
    withStorage({}, async (storage) => {
      const { etag } = await storage.put('large', chunked(bytes));
      expect((await storage.head('large')).etag).toBe(etag);
      expect(Buffer.compare(await readWhole(storage, 'large'), bytes)).toBe(0);
      const range = await readWhole(storage, 'large', { offset: PART - 10, length: 20 });
      expect(Buffer.from(range)).toEqual(bytes.subarray(PART - 10, PART + 10));
    }),
  );

  test(
    'conditions hold for large bodies',
    withStorage({}, async (storage) => {
      const first = await storage.put('large', bytes, { ifNoneMatch: '*' });
      expect(await failureOf(storage.put('large', bytes, { ifNoneMatch: '*' }))).toMatchObject({
        code: 'STORAGE_ALREADY_EXISTS',
      });
      const changed = pattern(PART + 1, 2);
      await storage.put('large', changed, { ifMatch: first.etag ?? '' });
      const late = storage.put('large', bytes, { ifMatch: first.etag ?? '' });
      expect(await failureOf(late)).toMatchObject({ code: 'STORAGE_PRECONDITION_FAILED' });
      expect(Buffer.compare(await readWhole(storage, 'large'), changed)).toBe(0);
    }),
  );

  test(
    'a large object is copied in parts',
    withStorage({ copySizeMaxBytes: PART }, async (storage) => {
      await storage.put('from', bytes);
      await storage.copy?.('from', 'to + ä');
      expect(Buffer.compare(await readWhole(storage, 'to + ä'), bytes)).toBe(0);
    }),
  );

  // A server without them is named by its caller, with the reason.
  if (!facts.hasChecksums) return;
  test(
    'CRC32C goes with whole objects and with parts',
    withStorage({ checksum: 'crc32c' }, async (storage) => {
      for (const body of [bytes.subarray(0, 1000), bytes]) {
        await storage.put('sum', body);
        expect(Buffer.compare(await readWhole(storage, 'sum'), body)).toBe(0);
      }
    }),
  );
}
