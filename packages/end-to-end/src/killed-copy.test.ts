import { copyFile, cp } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTestCluster, type TestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flipping, largestRelation, linkedCopy, rewrite } from './testing/damage.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { filesBelow } from './testing/files-below.ts';
import { neon } from './testing/neon-cli.ts';
import { neonFailure } from './testing/neon-failure.ts';
import { compareRelationFiles } from './testing/relation-files.ts';
import { type CliExit, type RunningCli, startCli } from './testing/running-cli.ts';

/** CI takes more moments. */
const isCi = process.env.CI === 'true';
const USER_DATABASE = '5';
const TIMEOUT = { timeout: 180_000 } as const;
/** After so many files of the export; their order of writing is not fixed, so the moments are random too. */
const EXPORT_MOMENTS: readonly number[] = isCi ? [1, 50, 300, 700, 1200] : [300];
/** After so many objects of the import. */
const IMPORT_MOMENTS: readonly number[] = isCi ? [1, 4] : [4];

let scratch: ScratchDirectory;
let cluster: TestCluster;
let bucket: string;

beforeAll(async () => {
  scratch = await makeScratchDirectory();
  cluster = await makeTestCluster({ major: 17, dataChecksums: true, dataDirectory: at('source') });
  bucket = at('bucket');
  await neon([
    'init',
    '-D',
    at('repository'),
    `--snapshot_path=${cluster.dataDirectory}`,
    `--storage_dest=${bucket}`,
  ]);
});
afterAll(() => scratch[Symbol.asyncDispose]());

const at = (name: string) => path.join(scratch.path, name);

/** Signals the program as soon as it has made so many files below the directory. */
async function signalAt(
  running: RunningCli,
  options: { readonly directory: string; readonly fileCount: number; readonly signal: NodeJS.Signals },
): Promise<CliExit> {
  let ended = false;
  void running.exited.then(() => {
    ended = true;
  });
  while (!ended && (await filesBelow(options.directory)).length < options.fileCount) await sleep(5);
  running.child.kill(options.signal);
  return running.exited;
}

function startExport(directory: string): RunningCli {
  return startCli(['export', `--storage_dest=${bucket}`, `--snapshot_path=${directory}`, '--max_rate=20M']);
}

function importArguments(name: string): string[] {
  return [
    'init',
    '-D',
    at(`${name}-repository`),
    `--snapshot_path=${cluster.dataDirectory}`,
    `--storage_dest=${at(name)}`,
  ];
}

async function isIndexThere(name: string): Promise<boolean> {
  return (await filesBelow(at(name))).some((file) => file.includes('index_part.json'));
}

describe('an export that is killed', () => {
  it.each(EXPORT_MOMENTS)(
    'after %i files leaves what Postgres refuses to start on, and export too',
    TIMEOUT,
    async (fileCount) => {
      const directory = at(`killed-${fileCount}`);
      const exit = await signalAt(startExport(directory), { directory, fileCount, signal: 'SIGKILL' });
      expect(exit).toMatchObject({ code: null, signal: 'SIGKILL' });
      const left = await filesBelow(directory);
      expect(left.length).toBeGreaterThan(0);
      expect(left).not.toContain('global/pg_control');
      const starting = startPostgres({ installation: cluster.installation, dataDirectory: directory });
      await expect(starting).rejects.toThrow(
        /pg_control|PG_VERSION|not a valid data directory|postgresql\.conf/,
      );
      const again = await neonFailure(['export', `--storage_dest=${bucket}`, `--snapshot_path=${directory}`]);
      expect(again).toMatchObject({ code: 'FORMAT_NOT_EMPTY', exitCode: 1 });
    },
  );
});

describe('an import that is killed', () => {
  it.each(IMPORT_MOMENTS)(
    'after %i objects shows no snapshot, and the next one into the same place is whole',
    TIMEOUT,
    async (fileCount) => {
      const name = `killed-bucket-${fileCount}`;
      const running = startCli([...importArguments(name), '--max_rate=2M']);
      const exit = await signalAt(running, { directory: at(name), fileCount, signal: 'SIGKILL' });
      expect(exit).toMatchObject({ code: null, signal: 'SIGKILL' });
      expect(await isIndexThere(name)).toBe(false);
      expect(await filesBelow(at(`${name}-repository`))).toEqual([]);
      const listed = await neon(['snapshot', 'ls', `--storage_dest=${at(name)}`, '--json']);
      expect(JSON.parse(listed.stdout)).toMatchObject({ snapshots: [] });
      const failure = await neonFailure([
        'export',
        `--storage_dest=${at(name)}`,
        `--snapshot_path=${at('nothing')}`,
      ]);
      expect(failure).toMatchObject({ code: 'FORMAT_NOT_FOUND', exitCode: 1 });

      await neon(importArguments(name));
      const dataDirectory = at(`${name}-exported`);
      await neon(['export', `--storage_dest=${at(name)}`, `--snapshot_path=${dataDirectory}`]);
      expect(await verifyTestCluster({ dataDirectory, expected: cluster.expected })).toEqual([]);
    },
  );
});

describe('an import that goes on where a killed one stopped', () => {
  it('takes none of its layers that hold other bytes', TIMEOUT, async () => {
    const relation = await largestRelation(cluster.dataDirectory, USER_DATABASE);
    const source = at('source-with-a-bad-page');
    await linkedCopy(cluster.dataDirectory, source);
    await rewrite(path.join(source, relation), flipping(3 * 8192 + 4096, 1));
    const argv = [
      'init',
      '-D',
      at('resumed-repository'),
      `--snapshot_path=${source}`,
      `--storage_dest=${at('resumed')}`,
    ];
    const running = startCli([...argv, '--ignore_page_errors', '--max_rate=2M']);
    await signalAt(running, { directory: at('resumed/tenants'), fileCount: 8, signal: 'SIGKILL' });
    expect(await isIndexThere('resumed')).toBe(false);
    // Same paths, sizes and LSN as before.
    await copyFile(path.join(cluster.dataDirectory, relation), path.join(source, relation));
    const { stdout } = await neon([...argv, '--json']);
    expect(JSON.parse(stdout).layersReused).toBeGreaterThan(0);
    const exported = at('resumed-exported');
    await neon(['export', `--storage_dest=${at('resumed')}`, `--snapshot_path=${exported}`]);
    expect(await compareRelationFiles(cluster.dataDirectory, exported)).toEqual([]);
  });
});

describe('Ctrl-C', () => {
  it('ends an export with 130, and no file stays', TIMEOUT, async () => {
    const directory = at('interrupted');
    const exit = await signalAt(startExport(directory), { directory, fileCount: 100, signal: 'SIGINT' });
    expect(exit).toMatchObject({ code: 130, signal: null });
    expect(exit.output).toMatch(/interrupted|aborted/);
    expect(await filesBelow(directory)).toEqual([]);
    await neon(['export', `--storage_dest=${bucket}`, `--snapshot_path=${directory}`]);
    await cp(directory, at('judged'), { recursive: true });
    expect(await verifyTestCluster({ dataDirectory: at('judged'), expected: cluster.expected })).toEqual([]);
  });

  it('ends an import with 130, and no object stays', TIMEOUT, async () => {
    const running = startCli([...importArguments('interrupted-bucket'), '--max_rate=2M']);
    const place = { directory: at('interrupted-bucket'), fileCount: 1 };
    const exit = await signalAt(running, { ...place, signal: 'SIGINT' });
    expect(exit).toMatchObject({ code: 130, signal: null });
    expect(await filesBelow(at('interrupted-bucket'))).toEqual([]);
    expect(await filesBelow(at('interrupted-bucket-repository'))).toEqual([]);
  });
});
