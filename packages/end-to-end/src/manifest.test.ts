import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { parseBackupManifest } from '@neon-snapshot/postgres';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { describe, expect, it } from 'vitest';
import { makeScratchDirectory } from './testing/directory.ts';
import { neon } from './testing/neon-cli.ts';
import { manifestOfServer } from './testing/server-manifest.ts';

/** Written by a server as it starts and runs; an export has none or other ones. */
const RUNTIME_FILES =
  /^(global\/pg_control|backup_label|tablespace_map|pg_stat\/|pg_logical\/|pg_wal\/|pg_xact\/|pg_multixact\/)/;

/** Postgres 18 can't go through Neon's format. */
describe.each(process.env.CI === undefined ? [17] : [17, 18])(
  'the backup_manifest of an export of Postgres %i',
  (major) => {
    it('says of every file what the manifest that the server makes says', { timeout: 120_000 }, async () => {
      await using directory = await makeScratchDirectory();
      await using cluster = await makeTestCluster({ major, dataChecksums: true });
      const exported = path.join(directory.path, 'exported');
      const between = path.join(directory.path, 'between');
      if (major === 18) {
        const tars = [`--from=${cluster.dataDirectory}`, `--to=${between}`, '--to_format=basebackup'];
        await neon(['snapshot', 'copy', ...tars]);
        await neon(['snapshot', 'copy', `--from=${between}`, `--to=${exported}`, '--to_format=pgdata']);
      } else {
        const source = [`--snapshot_path=${cluster.dataDirectory}`, '--snapshot_format=pgdata'];
        await neon(['init', '-D', directory.path, ...source, `--storage_dest=${between}`]);
        await neon([
          'export',
          '-D',
          directory.path,
          `--snapshot_path=${exported}`,
          '--snapshot_format=pgdata',
        ]);
      }
      const ours = parseBackupManifest(await readFile(path.join(exported, 'backup_manifest')));

      await using server = await startPostgres({
        installation: cluster.installation,
        dataDirectory: exported,
      });
      const theirs = parseBackupManifest(await manifestOfServer(server));

      expect(ours.version).toBe(theirs.version);
      expect(ours.systemIdentifier).toBe(theirs.systemIdentifier);
      expect(facts(ours)).toEqual(facts(theirs));
      expect(facts(ours).length).toBeGreaterThan(900);
    });
  },
);

/** A backup leaves the other forks of unlogged relations to recovery; an export, which needs none, has them. */
function facts(manifest: ReturnType<typeof parseBackupManifest>): string[] {
  const paths = new Set(manifest.files.map((file) => file.path));
  return manifest.files
    .filter((file) => !RUNTIME_FILES.test(file.path) && !paths.has(`${file.path}_init`))
    .map((file) => `${file.path} ${file.size} ${file.checksum?.algorithm} ${file.checksum?.hex}`)
    .sort();
}
