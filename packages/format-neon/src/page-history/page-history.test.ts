import { createHash } from 'node:crypto';
import { keyFromHex, parseKey } from '@neon-snapshot/neon-layer';
import { BLCKSZ, decodePageHeader, type RelTag } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { addLaterLayer, LATER_LSN } from '../testing/later-layer.ts';
import { imported } from '../testing/made-up-runs.ts';
import {
  HAS_SAMPLES,
  SAMPLES_NOTE,
  sampleFacts,
  sampleListing,
  sampleStorage,
} from '../testing/neon-samples.ts';
import { pageEffect } from './page-effect.ts';
import { readPageHistory } from './page-history.ts';

const CATALOG: RelTag = { spcNode: 1663, dbNode: 5, relNode: 1259, forkNum: 0 };

describe('the history of a page', () => {
  test('of an import is its image alone', async () => {
    await using storage = await imported();
    const history = await readPageHistory(storage, { options: {}, tag: CATALOG, blockNumber: 0 });
    expect(history).toMatchObject({ postgresMajor: 17, base: { in: 'image-layer' }, steps: [] });
    expect(history.page).toEqual(Uint8Array.from(history.base?.page ?? []));
  });

  test('starts at an image of a delta layer where there is one', async () => {
    await using storage = await imported();
    const image = new Uint8Array(BLCKSZ).fill(7);
    await addLaterLayer(storage, [[keyOfCatalog(1), { kind: 'image', image }]]);
    const history = await readPageHistory(storage, { options: {}, tag: CATALOG, blockNumber: 1 });
    expect(history).toMatchObject({ base: { in: 'delta-layer', lsn: LATER_LSN }, steps: [], page: image });
  });

  test('says that there is no such relation, and how large one is', async () => {
    await using storage = await imported();
    const read = (tag: RelTag, blockNumber: number, lsn?: string) =>
      readPageHistory(storage, { options: { lsn }, tag, blockNumber });
    await expect(read({ ...CATALOG, relNode: 99 }, 0)).rejects.toMatchObject({
      code: 'FORMAT_NOT_FOUND',
      message: expect.stringContaining('1663/5/99 fork 0: the timeline has no such relation at 0/'),
    });
    await expect(read({ ...CATALOG, dbNode: 6 }, 0)).rejects.toMatchObject({ code: 'FORMAT_NOT_FOUND' });
    await expect(read(CATALOG, 1_000_000)).rejects.toMatchObject({
      code: 'FORMAT_NOT_FOUND',
      message: expect.stringMatching(/the relation has \d+ blocks at 0\/[0-9A-F]+, numbered 0 to \d+$/),
    });
    await expect(read(CATALOG, 0, '0/1')).rejects.toMatchObject({ code: 'FORMAT_LSN_OUT_OF_RANGE' });
  });
});

function keyOfCatalog(block: number): Uint8Array {
  return keyFromHex(`000000067F00000005000004EB00${block.toString(16).padStart(8, '0')}`);
}

test('an effect counts the bytes that differ and joins near ones', () => {
  const before = new Uint8Array(BLCKSZ);
  const after = Uint8Array.from(before);
  for (const at of [3, 5, 100, 8191]) after[at] = 1;
  expect(pageEffect(before, after)).toMatchObject({
    changedBytes: 4,
    ranges: [
      { offset: 3, length: 3 },
      { offset: 100, length: 1 },
      { offset: 8191, length: 1 },
    ],
  });
});

/** Every so many pages of a listing. */
const STRIDE = 17;

describe.runIf(HAS_SAMPLES)(`histories of pages that a real page server wrote${SAMPLES_NOTE}`, () => {
  test.each([
    ['pg16', 'main', 'p2'],
    ['pg16', 'main', 'p3'],
    ['pg16', 'branch', 'p2'],
    ['pg17', 'main', 'p1'],
    ['pg17', 'main', 'p3'],
    ['pg17', 'branch', 'p2'],
  ])('%s %s at %s end in the listed pages', async (name, timeline, phase) => {
    await using storage = await sampleStorage(name);
    const facts = sampleFacts(name);
    const options = {
      tenant_id: facts.tenant,
      timeline_id: facts.timelines[timeline],
      lsn: facts.phases.find((each) => each.name === phase)?.lsn,
    };
    const steps = await compare(storage, options, sampleListing(name, `values-${timeline}-${phase}`));
    expect(steps).toBeGreaterThan(40);
  });
});

/** Compares pages with the listing; returns how many records they took. */
async function compare(
  storage: Storage,
  options: Readonly<Record<string, string | undefined>>,
  listing: readonly string[][],
): Promise<number> {
  const pages = listing.flatMap(([hex = '', , sha256]) => {
    const parsed = parseKey(keyFromHex(hex));
    return parsed.kind === 'relation-block' ? [{ ...parsed, sha256 }] : [];
  });
  let steps = 0;
  for (const { tag, blockNumber, sha256 } of pages.filter((_, index) => index % STRIDE === 0)) {
    const history = await readPageHistory(storage, { options, tag, blockNumber }).catch(
      (error: unknown) => error,
    );
    // A listing has the pages of dropped relations too.
    if (history instanceof Error) {
      expect(history).toMatchObject({ code: 'FORMAT_NOT_FOUND' });
      continue;
    }
    const { page, steps: own } = history as Awaited<ReturnType<typeof readPageHistory>>;
    expect(
      createHash('sha256')
        .update(page ?? '')
        .digest('hex')
        .slice(0, 32),
    ).toBe(sha256);
    const lsns = own.map(({ lsn }) => lsn);
    expect(lsns).toEqual(lsns.toSorted((a, b) => (a < b ? -1 : 1)));
    for (const [index, step] of own.entries()) {
      expect(step.willInit && index > 0).toBe(false);
      if (index > 0) expect(step.effect?.before).toEqual(own[index - 1]?.effect?.after);
    }
    if (page !== undefined && own.length > 0)
      expect(own.at(-1)?.effect?.after).toEqual(decodePageHeader(page));
    steps += own.length;
  }
  return steps;
}
