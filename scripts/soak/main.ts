/** Long proofs of `neon start`: see README.md. Exit status: 0 nothing lost, 1 something is wrong, 2 usage. */
import { parseArgs } from 'node:util';
import { soakKills } from '../../packages/end-to-end/src/soak/kills.ts';
import { openPlace, type PlaceKind } from '../../packages/end-to-end/src/soak/places.ts';
import { verifyBucket } from '../../packages/end-to-end/src/soak/verify-bucket.ts';
import { makeScratchDirectory } from '../../packages/end-to-end/src/testing/directory.ts';

const USAGE = `usage: npm run soak -- kills [--rounds=50] [--place=file|s3] [--durability=remote|local] [--push_interval_ms=1000] [--clients=4]`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '50' },
    place: { type: 'string', default: 'file' },
    durability: { type: 'string', default: 'remote' },
    push_interval_ms: { type: 'string', default: '1000' },
    clients: { type: 'string', default: '4' },
  },
});

async function kills(): Promise<boolean> {
  await using scratch = await makeScratchDirectory();
  await using place = await openPlace(values.place as PlaceKind, scratch.path);
  const pushIntervalMs = Number(values.push_interval_ms);
  const durability = values.durability === 'local' ? 'local' : 'remote';
  const rounds = await soakKills({
    scratch: scratch.path,
    place,
    durability,
    pushIntervalMs,
    rounds: Number(values.rounds),
    clients: Number(values.clients),
    onRound: (round) => console.log(JSON.stringify(round)),
  });
  const verify = await verifyBucket(place, scratch.path);
  const total = {
    kills: rounds.length,
    acknowledged: rounds.reduce((sum, each) => sum + each.acknowledged, 0),
    missing: rounds.reduce((sum, each) => sum + each.missing, 0),
    missingMsMax: Math.max(...rounds.map((each) => each.missingMs)),
    faults: rounds.flatMap((each) => each.faults),
    verify,
  };
  console.log(JSON.stringify(total));
  const isLossAllowed = durability === 'local' && total.missingMsMax <= pushIntervalMs;
  return (total.missing === 0 || isLossAllowed) && total.faults.length === 0 && verify.length === 0;
}

const [command] = positionals;
if (command === 'kills') process.exitCode = (await kills()) ? 0 : 1;
else {
  console.error(USAGE);
  process.exitCode = 2;
}
