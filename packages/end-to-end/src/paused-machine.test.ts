import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { soakPauses } from './soak/pauses.ts';
import { openPlace } from './soak/places.ts';
import { verifyBucket } from './soak/verify-bucket.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';

const isCi = process.env.CI === 'true';
/** Of CI, for the time they take; the long run is `npm run soak -- pauses`. */
const ROUNDS = 4;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe.runIf(isCi)(
  'a machine that stood still under load and goes on after it was taken over from',
  {
    timeout: 600_000,
  },
  () => {
    it('is fenced, and no commit is missing that it or the new one acknowledged with --durability=remote', async () => {
      await using place = await openPlace('s3', scratch.path);
      const rounds = await soakPauses({ scratch: scratch.path, place, rounds: ROUNDS, clients: 4 });
      expect(rounds).toHaveLength(ROUNDS);
      for (const round of rounds) {
        expect(round).toMatchObject({ missing: 0, faults: [] });
        expect(round.acknowledgedByNew).toBeGreaterThan(0);
      }
      expect(await verifyBucket(place, scratch.path)).toEqual([]);
    });
  },
);
