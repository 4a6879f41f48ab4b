import { formatCommitTime } from '@neon-snapshot/neon-timeline';
import { decodeWalRecord, formatLsn, type Lsn, parseLsn, RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from '../plugin.ts';
import { HAS_SAMPLES, SAMPLES_NOTE, sampleFacts, sampleStorage } from '../testing/neon-samples.ts';
import { sampleWal } from '../testing/sample-wal.ts';
import { testServices } from '../testing/services.ts';

interface LoggedCommit {
  readonly lsn: Lsn;
  readonly time: bigint;
}

const COMMIT = 0x00;
const COMMIT_PREPARED = 0x30;

/** The commits of a sample, from the WAL that it was made from. */
function loggedCommits(name: string): LoggedCommit[] {
  const { major } = sampleFacts(name);
  const commits: LoggedCommit[] = [];
  for (const { bytes, end } of sampleWal(name)) {
    const { header, mainData } = decodeWalRecord(bytes, major);
    const operation = header.info & 0x70;
    if (header.resourceManager !== RESOURCE_MANAGER.transaction) continue;
    if (operation !== COMMIT && operation !== COMMIT_PREPARED) continue;
    // Without an id nothing is committed in pg_xact: nobody can see such a transaction.
    if (header.xid === 0 && operation === COMMIT) continue;
    const time = new DataView(mainData.buffer, mainData.byteOffset, 8).getBigInt64(0, true);
    commits.push({ lsn: end, time });
  }
  return commits;
}

function optionsOf(name: string, timeline = 'main') {
  const { tenant, timelines } = sampleFacts(name);
  return { tenant_id: tenant, timeline_id: timelines[timeline] };
}

async function lsnAt(
  storage: Storage,
  options: Record<string, string | undefined>,
  time: bigint,
): Promise<string> {
  await using reader = await plugin.openReader({
    storage,
    options: { ...options, time: formatCommitTime(time) },
    services: testServices().services,
    concurrency: 1,
  });
  // A shutdown checkpoint of 120 bytes lies behind the LSN at which the timeline is read.
  return formatLsn(reader.info.previousRecordLsn ?? parseLsn('0/0'));
}

/** Behind the header, where an LSN is the start of a WAL page. */
function recordPlace(lsn: Lsn): string {
  const header = lsn % 0x1000000n === 0n ? 40n : 24n;
  return formatLsn(lsn % 8192n === 0n ? parseLsn(formatLsn((lsn + header) as Lsn)) : lsn);
}

describe.runIf(HAS_SAMPLES)(`a time${SAMPLES_NOTE}`, () => {
  test.each(['pg16', 'pg17'])(
    'is the last commit of %s at or before it, as its WAL has them',
    async (name) => {
      const commits = loggedCommits(name);
      expect(commits.length).toBeGreaterThan(50);
      await using storage = await sampleStorage(name);
      for (let i = 0; i < commits.length; i += 19) {
        const { time } = commits[i] ?? { time: 0n };
        const late = commits.findIndex((commit) => commit.time > time);
        const expected = late === -1 ? sampleFacts(name).phases.at(-1)?.lsn : undefined;
        const before = commits.findLast((commit, index) => (late === -1 || index < late) && commit.lsn > 0n);
        const place = expected ?? recordPlace(before?.lsn ?? parseLsn('0/0'));
        expect(await lsnAt(storage, optionsOf(name), time), formatCommitTime(time)).toBe(place);
      }
    },
  );

  test('before the first recorded commit is an error that names it, after the last one is the end', async () => {
    const [first] = loggedCommits('pg17');
    await using storage = await sampleStorage('pg17');
    const early = lsnAt(storage, optionsOf('pg17'), (first?.time ?? 0n) - 1n);
    await expect(early).rejects.toMatchObject({
      code: 'FORMAT_TIME_OUT_OF_RANGE',
      context: { timeMin: formatCommitTime(first?.time ?? 0n) },
    });
    const year = 365n * 86_400n * 1_000_000n;
    const end = sampleFacts('pg17').phases.at(-1)?.lsn;
    expect(await lsnAt(storage, optionsOf('pg17'), (first?.time ?? 0n) + year)).toBe(end);
  });

  test('of a branch is found in its ancestor, too', async () => {
    const commits = loggedCommits('pg16');
    const { phases } = sampleFacts('pg16');
    const [branchPoint, end] = ['p1', 'p2'].map((name) => phases.find((phase) => phase.name === name)?.lsn);
    await using storage = await sampleStorage('pg16');
    const inAncestor = commits.filter(({ lsn }) => lsn <= parseLsn(branchPoint ?? ''));
    for (const { lsn, time } of [inAncestor[3], inAncestor.at(-2)].flatMap((commit) => commit ?? [])) {
      expect(await lsnAt(storage, optionsOf('pg16', 'branch'), time)).toBe(recordPlace(lsn));
    }
    const last = commits.at(-1)?.time ?? 0n;
    expect(await lsnAt(storage, optionsOf('pg16', 'branch'), last)).toBe(end);
  });

  test('of a timeline without any commit is an error', async () => {
    await using storage = await sampleStorage('pg14');
    await expect(lsnAt(storage, optionsOf('pg14'), 900_000_000_000_000n)).rejects.toMatchObject({
      code: 'FORMAT_TIME_OUT_OF_RANGE',
    });
  });

  test('is not taken together with an LSN, nor without its zone', async () => {
    await using storage = await sampleStorage('pg14');
    const services = testServices().services;
    for (const options of [{ time: '2026-11-22T09:00:55Z', lsn: '0/1' }, { time: '2026-11-22T09:00:55' }]) {
      const opened = plugin.openReader({ storage, options, services, concurrency: 1 });
      await expect(opened).rejects.toMatchObject({ code: 'FORMAT_OPTION' });
    }
  });
});
