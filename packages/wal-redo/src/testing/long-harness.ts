/** `npm run -s redo:long -- [scale] [rounds]`: the harness at length, for every major, and what it has seen. */
import { findPostgres } from '@neon-snapshot/postgres-process';
import { checkConsistency } from './check-consistency.ts';
import { compareWithStock, engineFor, makeHarnessCluster, stockOperations } from './redo-harness.ts';

const [scale = 1, rounds = 3] = process.argv.slice(2).map(Number);
const workload = { scale, rounds, special: true, checkpoints: true };
let faults = 0;

for (const major of [14, 15, 16, 17]) {
  const installation = await findPostgres({ major });
  const settings = { wal_consistency_checking: 'all', wal_log_hints: true };
  {
    await using cluster = await makeHarnessCluster({ ...workload, installation, settings });
    const report = checkConsistency(cluster, engineFor(cluster));
    const { records, blocks, equal, restored, different, unchecked, problems } = report;
    faults += different;
    console.log(`${installation.version} after-images`, {
      records,
      blocks,
      equal,
      restored,
      different,
      unchecked,
    });
    for (const problem of problems) console.log(`  ${problem}`);
    const missing = stockOperations().filter((name) => !report.operations.has(name));
    console.log(`  never produced: ${missing.join(', ') || 'none'}`);
  }
  for (const dataChecksums of [false, true]) {
    await using cluster = await makeHarnessCluster({ ...workload, installation, dataChecksums });
    const { records, equal, gone, different } = await compareWithStock(cluster);
    faults += different.length;
    const kind = dataChecksums ? 'with checksums' : 'without checksums';
    console.log(`${installation.version} replay ${kind}`, {
      records,
      equal,
      gone,
      different: different.length,
    });
    for (const problem of different.slice(0, 20)) console.log(`  ${problem}`);
  }
}
process.exitCode = faults === 0 ? 0 : 1;
