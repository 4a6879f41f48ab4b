import { describe } from 'vitest';
import { describeCapability } from './capability-behaviour.ts';
import { describeDamage } from './damage-behaviour.ts';
import { describeDestinations } from './destination-behaviour.ts';
import type { FormatKitOptions } from './kit-options.ts';
import { createKitTest } from './kit-run.ts';
import { describeMemory } from './memory-behaviour.ts';
import { describeRoundTrips } from './round-trip-behaviour.ts';
import { describeSources } from './source-behaviour.ts';

/** Defines the tests that every format must pass that reads and writes, chosen by its capability. Nothing is skipped. */
export function describeFormat(kit: FormatKitOptions): void {
  const kitTest = createKitTest(kit);
  describe(kit.name, () => {
    describeRoundTrips(kitTest, kit);
    describeSources(kitTest, kit);
    describeDestinations(kitTest, kit);
    describeDamage(kitTest, kit);
    describeCapability(kitTest, kit);
    describeMemory(kitTest, kit);
  });
}
