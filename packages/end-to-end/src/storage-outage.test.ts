import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { soakOutage } from './soak/outages.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { type OutageKind, startS3Process } from './testing/s3-process.ts';

const TIMEOUT = { timeout: 600_000 } as const;
const isCi = process.env.CI === 'true';
/** On CI longer than a lease lives; the long runs are `npm run soak -- outages`. */
const OUTAGE_MS = isCi ? 40_000 : 8_000;
/** A request that is never answered is given up after 20 s. */
const SILENT_OUTAGE_MS = 60_000;
const OUTAGES: readonly { readonly name: string; readonly kind: OutageKind; readonly outageMs: number }[] = [
  { name: 'answers 503', kind: '503', outageMs: OUTAGE_MS },
  ...(isCi
    ? ([
        { name: 'resets connections', kind: 'reset', outageMs: OUTAGE_MS },
        { name: 'is silent', kind: 'silent', outageMs: SILENT_OUTAGE_MS },
      ] as const)
    : []),
];

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe.each(OUTAGES)('while S3 $name', TIMEOUT, ({ kind, outageMs }) => {
  it.runIf(isCi)(
    'Postgres goes on with --durability=local, status says what is wrong, and storage catches up',
    async () => {
      await using place = await startS3Process(path.join(scratch.path, 's3'));
      const options = { scratch: scratch.path, place, kind, outageMs, clients: 2 };
      const outage = await soakOutage({ ...options, durability: 'local' });
      expect(outage).toMatchObject({ failure: expect.any(String), missing: 0, faults: [] });
      expect(outage.acknowledgedDuring).toBeGreaterThan(0);
      expect(outage.lagBytes).toBeGreaterThan(0);
    },
  );

  it('commits wait with --durability=remote, and are acknowledged once it is there again', async () => {
    await using place = await startS3Process(path.join(scratch.path, 's3'));
    const options = { scratch: scratch.path, place, kind, outageMs, clients: 2 };
    const outage = await soakOutage({ ...options, durability: 'remote' });
    expect(outage).toMatchObject({
      failure: expect.any(String),
      acknowledgedDuring: 0,
      missing: 0,
      faults: [],
    });
    expect(outage.acknowledgedAfter).toBeGreaterThan(0);
  });
});
