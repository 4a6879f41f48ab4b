import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { soakKills } from './soak/kills.ts';
import { openPlace, type PlaceKind } from './soak/places.ts';
import { verifyBucket } from './soak/verify-bucket.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';

const TIMEOUT = { timeout: 600_000 } as const;
/** The long runs are `npm run soak -- kills`. */
const isCi = process.env.CI === 'true';
const LOAD = { clients: 4, pushIntervalMs: 1000 } as const;
/** On a machine that is busy with other tests a second passes soon. */
const LOCAL_LOAD = { clients: 4, pushIntervalMs: 2000 } as const;
const PLACES: readonly { readonly kind: PlaceKind; readonly rounds: number }[] = [
  ...(isCi ? ([{ kind: 'file', rounds: 8 }] as const) : []),
  { kind: 's3', rounds: isCi ? 8 : 1 },
];

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe.each(PLACES)(
  'a machine that is lost under load, its storage on $kind',
  TIMEOUT,
  ({ kind, rounds: count }) => {
    it('had every acknowledged commit in storage with --durability=remote', async () => {
      await using place = await openPlace(kind, scratch.path);
      const rounds = await soakKills({
        ...LOAD,
        rounds: count,
        scratch: scratch.path,
        place,
        durability: 'remote',
      });
      expect(rounds).toHaveLength(count);
      for (const round of rounds) {
        expect(round).toMatchObject({ missing: 0, faults: [] });
        expect(round.acknowledged).toBeGreaterThan(0);
      }
      expect(await verifyBucket(place, scratch.path)).toEqual([]);
    });
  },
);

describe.runIf(isCi)('a machine that is lost with --durability=local', TIMEOUT, () => {
  it('takes no commit with it that is older than --push_interval', async () => {
    await using place = await openPlace('file', scratch.path);
    const rounds = await soakKills({
      ...LOCAL_LOAD,
      rounds: 4,
      scratch: scratch.path,
      place,
      durability: 'local',
    });
    for (const round of rounds) {
      expect(round).toMatchObject({ faults: [] });
      expect(round.missingMs).toBeLessThanOrEqual(LOCAL_LOAD.pushIntervalMs);
    }
    expect(await verifyBucket(place, scratch.path)).toEqual([]);
  });
});
