/** Long proofs of `neon start`: see README.md. Exit status: 0 as promised, 1 something is wrong, 2 usage. */
import { parseArgs } from 'node:util';
import { soakKills } from '../../packages/end-to-end/src/soak/kills.ts';
import { soakOutage } from '../../packages/end-to-end/src/soak/outages.ts';
import { openPlace } from '../../packages/end-to-end/src/soak/places.ts';
import { soakRaces } from '../../packages/end-to-end/src/soak/races.ts';
import { verifyBucket } from '../../packages/end-to-end/src/soak/verify-bucket.ts';
import { makeScratchDirectory } from '../../packages/end-to-end/src/testing/directory.ts';

const USAGE = `usage: npm run soak -- kills [--rounds=50] [--place=file|s3] [--durability=remote|local] [--push_interval_ms=1000]
       npm run soak -- outages [--seconds=60] [--kind=silent|reset|503] [--durability=remote|local]
       npm run soak -- races [--rounds=20] [--place=file|s3]
common: [--clients=4]; each line that is printed is a JSON object, the last one is the sum`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    place: { type: 'string' },
    durability: { type: 'string' },
    push_interval_ms: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    kind: { type: 'string' },
    clients: { type: 'string', default: '4' },
  },
});
const clients = Number(values.clients);

const print = (what: object): void => console.log(JSON.stringify(what));

async function kills(): Promise<boolean> {
  await using scratch = await makeScratchDirectory();
  await using place = await openPlace(values.place === 's3' ? 's3' : 'file', scratch.path);
  const pushIntervalMs = Number(values.push_interval_ms);
  const durability = values.durability === 'local' ? 'local' : 'remote';
  const rounds = await soakKills({
    scratch: scratch.path,
    place,
    durability,
    pushIntervalMs,
    rounds: Number(values.rounds ?? 50),
    clients,
    onRound: print,
  });
  const total = {
    kills: rounds.length,
    acknowledged: rounds.reduce((sum, each) => sum + each.acknowledged, 0),
    missing: rounds.reduce((sum, each) => sum + each.missing, 0),
    missingMsMax: Math.max(...rounds.map((each) => each.missingMs)),
    faults: [...rounds.flatMap((each) => each.faults), ...(await verifyBucket(place, scratch.path))],
  };
  print(total);
  const isLossAllowed = durability === 'local' && total.missingMsMax <= pushIntervalMs;
  return (total.missing === 0 || isLossAllowed) && total.faults.length === 0;
}

async function outages(): Promise<boolean> {
  const kinds = (['silent', 'reset', '503'] as const).filter((each) => each === (values.kind ?? each));
  const promises = (['local', 'remote'] as const).filter((each) => each === (values.durability ?? each));
  let isWell = true;
  for (const kind of kinds) {
    for (const durability of promises) {
      await using scratch = await makeScratchDirectory();
      const outageMs = Number(values.seconds) * 1000;
      const outage = await soakOutage({ scratch: scratch.path, kind, durability, outageMs, clients });
      print(outage);
      const isRight = (durability === 'local') === outage.acknowledgedDuring > 0 && outage.failure !== null;
      isWell &&= isRight && outage.missing === 0 && outage.faults.length === 0;
    }
  }
  return isWell;
}

async function races(): Promise<boolean> {
  await using scratch = await makeScratchDirectory();
  await using place = await openPlace(values.place === 'file' ? 'file' : 's3', scratch.path);
  const all = await soakRaces({
    scratch: scratch.path,
    place,
    races: Number(values.rounds ?? 20),
    onRace: print,
  });
  const faults = [...all.flatMap((each) => each.faults), ...(await verifyBucket(place, scratch.path))];
  print({ races: all.length, oneWinner: all.filter((each) => each.running === 1).length, faults });
  return faults.length === 0 && all.every((each) => each.running === 1);
}

const COMMANDS: Readonly<Record<string, () => Promise<boolean>>> = { kills, outages, races };
const command = COMMANDS[positionals[0] ?? ''];
if (command === undefined) console.error(USAGE);
process.exitCode = command === undefined ? 2 : (await command()) ? 0 : 1;
