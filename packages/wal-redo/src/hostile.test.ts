import { findPostgres } from '@neon-snapshot/postgres-process';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRedoEngine } from './redo-engine.ts';
import { collectSamples, type RedoSample } from './testing/corpus.ts';
import { fuzz } from './testing/fuzz.ts';
import { redoHostile, truncatedRecords } from './testing/hostile.ts';
import { makeHarnessCluster } from './testing/redo-harness.ts';

const CUT_SIZE_MAX = 1_500;

describe.each([14, 17])('redo of damaged records and pages of %i', (major) => {
  let samples: RedoSample[] = [];

  beforeAll(async () => {
    const installation = await findPostgres({ major });
    const workload = { scale: 0.1, rounds: 1, special: true, checkpoints: false };
    await using cluster = await makeHarnessCluster({ ...workload, installation });
    samples = collectSamples(cluster, 2);
  });

  it('starts from samples of many operations', () => {
    expect(new Set(samples.map(({ operation }) => operation)).size).toBeGreaterThan(50);
  });

  it('refuses records whose parts are cut at any byte, or redoes what is left', () => {
    const engine = createRedoEngine({ major, heapLayout: 'stock', hintBitsLogged: false });
    let refused = 0;
    // Longer records hold images, which are cut at any byte where they are short.
    for (const sample of samples.filter(({ bytes }) => bytes.length < CUT_SIZE_MAX)) {
      const page = sample.page.slice();
      for (const bytes of truncatedRecords(sample, major)) {
        if (redoHostile(engine, { ...sample, bytes }, page) === 'refused') refused++;
        page.set(sample.page);
      }
    }
    expect(refused).toBeGreaterThan(samples.length * 20);
  });

  it('only reads records and gives the same pages where both are Node buffers, whose slices are views', () => {
    const engine = createRedoEngine({ major, heapLayout: 'stock', hintBitsLogged: false });
    for (const { bytes, blockIndex, page, endLsn, operation } of samples) {
      const plain = page.slice();
      engine.decoder.decode(bytes.slice());
      engine.redoBlock(engine.decoder, blockIndex, plain, endLsn);
      const record = Buffer.from(bytes);
      const buffer = Buffer.from(page);
      engine.decoder.decode(record);
      engine.redoBlock(engine.decoder, blockIndex, buffer, endLsn);
      expect(record.equals(bytes), `${operation}: record`).toBe(true);
      expect(buffer.equals(plain), `${operation}: page`).toBe(true);
    }
  });

  it('answers random damage with a page or a typed error', () => {
    const result = fuzz(samples, { major, cases: 60_000, seed: 1 });
    expect(result.accepted).toBeGreaterThan(1_000);
    expect(result.refused).toBeGreaterThan(1_000);
  });
});
