/** `npm run -s redo:fuzz -- [cases] [seed]`: damaged records and pages of all majors, 10 million unless told otherwise. */
import { findPostgres } from '@neon-snapshot/postgres-process';
import { collectSamples } from './corpus.ts';
import { fuzz } from './fuzz.ts';
import { makeHarnessCluster } from './redo-harness.ts';

const MAJORS = [14, 15, 16, 17];
const [cases = 10_000_000, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number);
const workload = { scale: 0.1, rounds: 1, special: true, checkpoints: true };

for (const major of MAJORS) {
  const installation = await findPostgres({ major });
  await using cluster = await makeHarnessCluster({ ...workload, installation });
  const samples = collectSamples(cluster, 3);
  const startedAt = performance.now();
  const result = fuzz(samples, { major, cases: Math.ceil(cases / MAJORS.length), seed });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${installation.version}: ${samples.length} samples, seed ${seed}, ${seconds} s`, result);
}
