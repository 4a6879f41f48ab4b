import { cp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { type TestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { expect } from 'vitest';
import { checkChecksums, hasDebianTools, verifyBackup } from './debian-tools.ts';
import { neon } from './neon-cli.ts';
import { compareRelationFiles } from './relation-files.ts';

export interface RoundTripOptions {
  readonly cluster: TestCluster;
  readonly directory: string;
  readonly storageDest: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** `neon init` and `neon export` of a stopped cluster, and every judge on what came out. Returns the exported directory. */
export async function roundTrip({ cluster, directory, storageDest, env }: RoundTripOptions): Promise<string> {
  const { major, dataChecksums } = cluster.expected;
  const exported = path.join(directory, 'exported');
  const source = [`--snapshot_path=${cluster.dataDirectory}`, '--snapshot_format=pgdata'];
  await neon(['init', '-D', directory, ...source, `--storage_dest=${storageDest}`], env);
  await neon(['export', '-D', directory, `--snapshot_path=${exported}`, '--snapshot_format=pgdata'], env);
  expect(await compareRelationFiles(cluster.dataDirectory, exported)).toEqual([]);
  if (hasDebianTools && major <= 16) {
    expect(await verifyBackup(exported, major)).toBe('backup successfully verified');
    if (dataChecksums) expect(await checkChecksums(exported)).toBe('0');
  }
  // The judge starts a server, which changes the directory.
  const judged = path.join(directory, 'judged');
  await cp(exported, judged, { recursive: true });
  expect(await verifyTestCluster({ dataDirectory: judged, expected: cluster.expected })).toEqual([]);
  expect(await readdir(path.join(exported, 'pg_tblspc'))).toEqual([]);
  return exported;
}
