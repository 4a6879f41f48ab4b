/** Long proofs of `neon start`: see README.md. Exit status: 0 as promised, 1 something is wrong, 2 usage. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { soakKills } from '../../packages/end-to-end/src/soak/kills.ts';
import { soakOutage } from '../../packages/end-to-end/src/soak/outages.ts';
import { soakPauses } from '../../packages/end-to-end/src/soak/pauses.ts';
import { soakPgbench } from '../../packages/end-to-end/src/soak/pgbench.ts';
import { openPlace, openPlaceBelow, type Place } from '../../packages/end-to-end/src/soak/places.ts';
import { soakRaces } from '../../packages/end-to-end/src/soak/races.ts';
import { breakablePlace } from '../../packages/end-to-end/src/soak/server-process.ts';
import { verifyBucket } from '../../packages/end-to-end/src/soak/verify-bucket.ts';
import { makeScratchDirectory } from '../../packages/end-to-end/src/testing/directory.ts';
import { startS3Process } from '../../packages/end-to-end/src/testing/s3-process.ts';

const USAGE = `usage: npm run soak -- kills [--rounds=50] [--durability=remote|local] [--push_interval_ms=1000] [--agitated]
       npm run soak -- pgbench [--rounds=3] [--seconds=60] [--scale=10] [--agitated]
       npm run soak -- races [--rounds=20]
       npm run soak -- pauses [--rounds=20]
       npm run soak -- outages [--seconds=60] [--durability=remote|local] [--kind=silent|reset|503]
       npm run soak -- outages --server_pid=PID [--seconds=60] [--durability=remote|local] [--kind=silent|killed]
common: [--place=file|s3 | --storage_dest=URL] [--clients=4]; each line that is printed is a JSON object, the last one is the sum`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    place: { type: 'string' },
    storage_dest: { type: 'string' },
    server_pid: { type: 'string' },
    durability: { type: 'string' },
    push_interval_ms: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    scale: { type: 'string', default: '10' },
    kind: { type: 'string' },
    agitated: { type: 'boolean' },
    clients: { type: 'string', default: '4' },
  },
});
const clients = Number(values.clients);
const seconds = Number(values.seconds);

const print = (what: object): void => console.log(JSON.stringify(what));

async function open(scratch: string, otherwise: 'file' | 's3'): Promise<Place> {
  if (values.storage_dest !== undefined) return openPlaceBelow(values.storage_dest);
  return openPlace(values.place === 'file' || values.place === 's3' ? values.place : otherwise, scratch);
}

/** What a run that went wrong leaves is kept, and named: its bucket, and the directories of its machines. */
async function withScratch(work: (scratch: string) => Promise<boolean>): Promise<boolean> {
  const scratch = await makeScratchDirectory();
  let isWell = false;
  try {
    isWell = await work(scratch.path);
  } finally {
    if (isWell) await scratch[Symbol.asyncDispose]();
    else print({ kept: scratch.path });
  }
  return isWell;
}

const kills = () =>
  withScratch(async (scratch) => {
    await using place = await open(scratch, 'file');
    const pushIntervalMs = Number(values.push_interval_ms);
    const durability = values.durability === 'local' ? 'local' : 'remote';
    const rounds = await soakKills({
      scratch,
      place,
      durability,
      pushIntervalMs,
      rounds: Number(values.rounds ?? 50),
      clients,
      agitated: values.agitated,
      onRound: print,
    });
    const total = {
      kills: rounds.length,
      acknowledged: rounds.reduce((sum, each) => sum + each.acknowledged, 0),
      missing: rounds.reduce((sum, each) => sum + each.missing, 0),
      missingMsMax: Math.max(...rounds.map((each) => each.missingMs)),
      url: place.url,
      faults: [
        ...rounds.flatMap((each) => each.faults),
        ...(await verifyBucket(place, scratch, values.agitated === true ? 'pages' : 'meta')),
      ],
    };
    print(total);
    const isLossAllowed = durability === 'local' && total.missingMsMax <= pushIntervalMs;
    return (total.missing === 0 || isLossAllowed) && total.faults.length === 0;
  });

async function pgbench(): Promise<boolean> {
  for (let number = 1; number <= Number(values.rounds ?? 3); number += 1) {
    const isWell = await withScratch(async (scratch) => {
      await using place = await open(scratch, 'file');
      const run = await soakPgbench({
        scratch,
        place,
        scale: Number(values.scale),
        clients,
        seconds,
        agitated: values.agitated,
      });
      const faults = [...run.faults, ...(await verifyBucket(place, scratch, 'pages'))];
      print({ ...run, url: place.url, faults });
      return faults.length === 0;
    });
    if (!isWell) return false;
  }
  return true;
}

async function outages(): Promise<boolean> {
  const possible =
    values.server_pid === undefined ? (['silent', 'reset', '503'] as const) : (['silent', 'killed'] as const);
  const kinds = possible.filter((each) => each === (values.kind ?? each));
  const promises = (['local', 'remote'] as const).filter((each) => each === (values.durability ?? each));
  let pid = Number(values.server_pid);
  let areAllWell = true;
  for (const kind of kinds) {
    for (const durability of promises) {
      const isWell = await withScratch(async (scratch) => {
        const server =
          values.server_pid === undefined ? undefined : await breakablePlace(await open(scratch, 's3'), pid);
        await using place = server ?? (await startS3Process(path.join(scratch, 's3')));
        const outage = await soakOutage({
          scratch,
          place,
          kind,
          durability,
          outageMs: seconds * 1000,
          clients,
        });
        pid = server?.pid() ?? pid;
        print({ ...outage, url: place.url });
        const isRight = (durability === 'local') === outage.acknowledgedDuring > 0 && outage.failure !== null;
        return isRight && outage.missing === 0 && outage.faults.length === 0;
      });
      areAllWell &&= isWell;
    }
  }
  return areAllWell;
}

const races = () =>
  withScratch(async (scratch) => {
    await using place = await open(scratch, 's3');
    const all = await soakRaces({ scratch, place, races: Number(values.rounds ?? 20), onRace: print });
    const faults = [...all.flatMap((each) => each.faults), ...(await verifyBucket(place, scratch))];
    const oneWinner = all.filter((each) => each.running === 1).length;
    print({ races: all.length, oneWinner, url: place.url, faults });
    return faults.length === 0 && oneWinner === all.length;
  });

const pauses = () =>
  withScratch(async (scratch) => {
    await using place = await open(scratch, 's3');
    const all = await soakPauses({
      scratch,
      place,
      rounds: Number(values.rounds ?? 20),
      clients,
      onRound: print,
    });
    const faults = [...all.flatMap((each) => each.faults), ...(await verifyBucket(place, scratch))];
    const missing = all.reduce((sum, each) => sum + each.missing, 0);
    print({ pauses: all.length, missing, url: place.url, faults });
    return faults.length === 0 && missing === 0;
  });

const COMMANDS: Readonly<Record<string, () => Promise<boolean>>> = { kills, pgbench, outages, races, pauses };
const command = COMMANDS[positionals[0] ?? ''];
if (command === undefined) console.error(USAGE);
process.exitCode = command === undefined ? 2 : (await command()) ? 0 : 1;
