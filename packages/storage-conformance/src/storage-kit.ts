import { describe, expect, test } from 'vitest';
import { describeConditions } from './condition-behaviour.ts';
import { createKitTest } from './kit-helpers.ts';
import type { StorageKitOptions } from './kit-options.ts';
import { describeLists } from './list-behaviour.ts';
import { describeObjects } from './object-behaviour.ts';
import { describeReads } from './read-behaviour.ts';
import { describeFileTree } from './tree-behaviour.ts';
import { describeWrites } from './write-behaviour.ts';

/**
 * Defines the tests that every writable storage must pass, chosen by its capability. Nothing is skipped: a capability
 * that is not declared is tested to be refused.
 */
export function describeStorage(options: StorageKitOptions): void {
  const kitTest = createKitTest(options);
  describe(options.name, () => {
    describeObjects(kitTest);
    describeReads(kitTest);
    describeLists(kitTest, options.pagedKeyCount ?? 1100);
    describeWrites(kitTest);
    describeConditions(kitTest);
    describeFileTree(kitTest);
    test('disposing resolves, also a second time', { timeout: options.timeoutMs ?? 30_000 }, async () => {
      const { storage, cleanup } = await options.open();
      await storage[Symbol.asyncDispose]();
      await expect(storage[Symbol.asyncDispose]()).resolves.toBeUndefined();
      await cleanup();
    });
  });
}
