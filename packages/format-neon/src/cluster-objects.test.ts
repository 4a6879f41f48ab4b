import { lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { expect, test } from 'vitest';
import {
  type ClusterFacts,
  clusterFactsKey,
  configurationFileKey,
  decodeClusterFacts,
  encodeClusterFacts,
  readClusterObjects,
} from './cluster-objects.ts';

const TENANT = 'a'.repeat(32);
const KEY = clusterFactsKey(TENANT);
const FACTS: ClusterFacts = {
  timelineId: 'b'.repeat(32),
  systemIdentifier: 0xffff_ffff_ffff_fff1n,
  postgresMajor: 16,
  originalTimeLineId: 3,
  timelineHistory: [
    { timeLineId: 1, switchLsn: lsn(0x3000000n), reason: 'no recovery target specified' },
    { timeLineId: 2, switchLsn: lsn(0x1_0000_0028n), reason: '' },
  ],
  lsn: lsn(0x1_2345_6788n),
  importedAt: new Date('2026-11-24T08:00:00.000Z'),
  sourceFormat: 'pgdata',
  configurationFiles: ['postgresql.conf', 'pg_hba.conf'],
};

function edited(change: Record<string, unknown>): Uint8Array {
  const json: unknown = JSON.parse(new TextDecoder().decode(encodeClusterFacts(FACTS)));
  return new TextEncoder().encode(JSON.stringify(Object.assign({}, json, change)));
}

test('facts come back as they were, a 64-bit system identifier included', () => {
  expect(decodeClusterFacts(encodeClusterFacts(FACTS), KEY)).toEqual(FACTS);
});

test('a field that is not known does not disturb', () => {
  expect(decodeClusterFacts(edited({ collation_versions: [] }), KEY)).toEqual(FACTS);
});

test.each([
  [{ version: 2 }, /version is 2; this program knows 1/],
  [{ version: undefined }, /version/],
  [{ system_identifier: 12 }, /system_identifier/],
  [{ system_identifier: 'x' }, /does not parse/],
  [{ original_timeline_id: -1 }, /original_timeline_id/],
  [{ lsn: '12' }, /does not parse/],
  [{ timeline_history: [{ timeline_id: 1 }] }, /timeline_history/],
  [{ configuration_files: ['../../etc/passwd'] }, /configuration_files/],
])('%j is refused', (change, message) => {
  expect(() => decodeClusterFacts(edited(change), KEY)).toThrow(message);
});

test('a file cut anywhere is refused', () => {
  const bytes = encodeClusterFacts(FACTS);
  for (let length = 0; length < bytes.length - 2; length += 1) {
    expect(() => decodeClusterFacts(bytes.subarray(0, length), KEY), `${length}`).toThrow(KEY);
  }
});

test('a tenant without objects of ours has none', async () => {
  await using storage = createMemoryStorage();
  expect(await readClusterObjects(storage, TENANT)).toBeUndefined();
});

test('a configuration file that is listed and missing is an error that names it', async () => {
  await using storage = createMemoryStorage();
  await storage.put(KEY, encodeClusterFacts(FACTS));
  await storage.put(configurationFileKey(TENANT, 'postgresql.conf'), new Uint8Array(3));
  await expect(readClusterObjects(storage, TENANT)).rejects.toMatchObject({
    code: 'FORMAT_INVALID',
    message: expect.stringContaining('files/pg_hba.conf'),
  });
});
