import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PGBENCH, soakPgbench } from './soak/pgbench.ts';
import { openPlace } from './soak/places.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';

const TIMEOUT = { timeout: 600_000 } as const;
const isCi = process.env.CI === 'true';
/** CI installs it (scripts/servers/install.sh). */
const canRun = PGBENCH !== undefined || isCi;
const LOAD = { scale: 2, clients: 4, seconds: isCi ? 60 : 3 } as const;

let scratch: ScratchDirectory;
beforeEach(async () => {
  scratch = await makeScratchDirectory();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe.runIf(canRun)(`Debian's pgbench${canRun ? '' : ' [skipped: not installed]'}`, TIMEOUT, () => {
  it('keeps all of its transactions and its balance when the machine is lost at the end', async () => {
    await using place = await openPlace('s3', scratch.path);
    expect(await soakPgbench({ scratch: scratch.path, place, ...LOAD })).toMatchObject({ faults: [] });
  });
});
