import { describe, expect, test } from 'vitest';
import { describeConcurrency } from './concurrency-behaviour.ts';
import { describeConditions } from './condition-behaviour.ts';
import { describeConsistency } from './consistency-behaviour.ts';
import { describeKeys } from './key-behaviour.ts';
import { createKitTest } from './kit-helpers.ts';
import type { StorageKitOptions } from './kit-options.ts';
import { describeLargeObject } from './large-object-behaviour.ts';
import { describeLists } from './list-behaviour.ts';
import { describeManyKeys } from './many-keys-behaviour.ts';
import { describeObjects } from './object-behaviour.ts';
import { describeReads } from './read-behaviour.ts';
import { describeFileTree } from './tree-behaviour.ts';
import { describeWrites } from './write-behaviour.ts';

/** Ten pages of S3. */
const PAGED_KEY_COUNT = 10_000;
/** Several parts of an upload, none of them whole at the end. */
const LARGE_OBJECT_BYTES = 24 * 2 ** 20 + 17;

/**
 * Defines the tests that every writable storage must pass, chosen by its capability. Nothing is skipped: a capability
 * that is not declared is tested to be refused.
 */
export function describeStorage(options: StorageKitOptions): void {
  const kitTest = createKitTest(options);
  describe(options.name, () => {
    describeObjects(kitTest);
    describeKeys(kitTest);
    describeReads(kitTest);
    describeLists(kitTest);
    describeManyKeys(kitTest, options.pagedKeyCount ?? PAGED_KEY_COUNT);
    describeLargeObject(kitTest, options.largeObjectBytes ?? LARGE_OBJECT_BYTES);
    describeWrites(kitTest);
    describeConditions(kitTest);
    describeConsistency(kitTest);
    describeConcurrency(kitTest);
    describeFileTree(kitTest);
    test('disposing resolves, also a second time', { timeout: options.timeoutMs ?? 30_000 }, async () => {
      const { storage, cleanup } = await options.open();
      await storage[Symbol.asyncDispose]();
      await expect(storage[Symbol.asyncDispose]()).resolves.toBeUndefined();
      await cleanup();
    });
  });
}
