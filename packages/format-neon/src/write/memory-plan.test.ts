import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LAYER_PUTS_MAX, planWriterMemory } from './memory-plan.ts';

const MIB = 1024 * 1024;

test('layers stay within 40 MiB, and none is larger than 32 MiB, at any concurrency', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 256 }),
      (concurrency, processorCount) => {
        const plan = planWriterMemory({ concurrency, processorCount });
        const layers = plan.partitionCountMax + LAYER_PUTS_MAX;
        expect(layers * plan.layerStoredBytesMax).toBeLessThanOrEqual(40 * MIB);
        expect(plan.layerStoredBytesMax).toBeLessThanOrEqual(32 * MIB);
        expect(plan.layerStoredBytesMax).toBeGreaterThan(8 * MIB);
        expect(plan.threadCount).toBeLessThanOrEqual(Math.min(concurrency, processorCount));
        expect(plan.slotsPerPartition * plan.partitionCountMax).toBeGreaterThan(plan.threadCount);
      },
    ),
  );
});
