import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeTestCluster, type TestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flipping, largestRelation, linkedCopy, rewrite, walSegments } from './testing/damage.ts';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { filesBelow } from './testing/files-below.ts';
import { neon } from './testing/neon-cli.ts';
import { type CliFailure, neonFailure } from './testing/neon-failure.ts';

const run = promisify(execFile);
const USER_DATABASE = '5';
const WARNINGS_BY_NAME_MAX = 20;

let scratch: ScratchDirectory;
let cluster: TestCluster;
/** A relation file with many pages. */
let relation: string;
let count = 0;

beforeAll(async () => {
  scratch = await makeScratchDirectory();
  cluster = await makeTestCluster({
    major: 17,
    dataChecksums: true,
    dataDirectory: path.join(scratch.path, 'intact'),
  });
  relation = await largestRelation(cluster.dataDirectory, USER_DATABASE);
});
afterAll(() => scratch[Symbol.asyncDispose]());

type Damage = (dataDirectory: string) => Promise<unknown>;

async function damagedCopy(
  damage: Damage,
): Promise<{ readonly source: string; readonly bucket: string; readonly init: string[] }> {
  count += 1;
  const source = path.join(scratch.path, `source-${count}`);
  await linkedCopy(cluster.dataDirectory, source);
  await damage(source);
  const bucket = path.join(scratch.path, `bucket-${count}`);
  const repository = path.join(scratch.path, `repository-${count}`);
  return {
    source,
    bucket,
    init: ['init', '-D', repository, `--snapshot_path=${source}`, `--storage_dest=${bucket}`],
  };
}

/** The import fails, and there is nothing: no object, no repository. */
async function refused(damage: Damage, flags: readonly string[] = []): Promise<CliFailure> {
  const { bucket, init } = await damagedCopy(damage);
  const failure = await neonFailure([...init, ...flags]);
  expect(await filesBelow(bucket)).toEqual([]);
  expect(await filesBelow(path.join(scratch.path, `repository-${count}`))).toEqual([]);
  return failure;
}

const control = (source: string) => path.join(source, 'global/pg_control');

interface Refusal {
  readonly what: string;
  readonly damage: Damage;
  readonly flags?: readonly string[];
  readonly exitCode: number;
  readonly code: string;
  readonly says: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: 'a pg_control of an unknown version',
    damage: (source) => rewrite(control(source), (bytes) => void bytes.writeUInt32LE(9999, 8)),
    exitCode: 3,
    code: 'FORMAT_UNKNOWN_VERSION',
    says: /global\/pg_control in file:.*version 9999.*supported versions: 1300 \(Postgres 14, 15, 16\)/,
  },
  {
    what: 'a pg_control with a wrong CRC',
    damage: (source) => rewrite(control(source), flipping(60)),
    exitCode: 3,
    code: 'FORMAT_CHECKSUM',
    says: /pg_control is corrupt: CRC-32C at offset 288 is [0-9A-F]{8}, computed [0-9A-F]{8}/,
  },
  {
    what: 'half a pg_control',
    damage: (source) => rewrite(control(source), (bytes) => bytes.subarray(0, 100)),
    exitCode: 3,
    code: 'FORMAT_TRUNCATED',
    says: /pg_control has 100 bytes; expected at least 296/,
  },
  {
    what: 'no pg_control',
    damage: (source) => rm(control(source)),
    exitCode: 1,
    code: 'CLI_FORMAT_UNKNOWN',
    says: /there is no global\/pg_control/,
  },
  {
    what: 'a PG_VERSION of another major',
    damage: (source) => rewrite(path.join(source, 'PG_VERSION'), () => Buffer.from('16\n')),
    exitCode: 3,
    code: 'FORMAT_INVALID',
    says: /says "16", but pg_control belongs to Postgres 17/,
  },
  {
    what: 'no WAL segment with the shutdown checkpoint',
    damage: async (source) => Promise.all((await walSegments(source)).map((file) => rm(file))),
    exitCode: 3,
    code: 'FORMAT_TRUNCATED',
    says: /names a checkpoint at 0\/[0-9A-F]+, but the WAL segment with it, pg_wal\/[0-9A-F]{24}, is missing; copy pg_wal/,
  },
  {
    what: 'a garbled WAL segment',
    damage: async (source) =>
      Promise.all((await walSegments(source)).map((file) => rewrite(file, (bytes) => bytes.fill(0xa5)))),
    exitCode: 3,
    code: 'FORMAT_INVALID',
    says: /pg_wal\/[0-9A-F]{24} in file:.*no valid checkpoint record at 0\/[0-9A-F]+/,
  },
  {
    what: 'a missing segment in the middle of a relation',
    damage: (source) => copyFile(path.join(source, relation), path.join(source, `${relation}.2`)),
    exitCode: 3,
    code: 'FORMAT_TRUNCATED',
    says: /relation file base\/5\/\d+\.2 is there, but segment 1 is missing/,
  },
  {
    what: 'a relation file that ends within a page',
    damage: (source) => rewrite(path.join(source, relation), (bytes) => bytes.subarray(0, -100)),
    exitCode: 3,
    code: 'FORMAT_TRUNCATED',
    says: /relation file base\/5\/\d+ has \d+ bytes, which is no whole number of pages of 8192/,
  },
  {
    what: 'a damaged relation map',
    damage: (source) => rewrite(path.join(source, 'base/5/pg_filenode.map'), flipping(20)),
    exitCode: 3,
    code: 'FORMAT_CHECKSUM',
    says: /base\/5\/pg_filenode\.map in file:.*CRC/,
  },
  {
    what: 'a missing catalog',
    damage: (source) => rm(path.join(source, 'global/1262')),
    exitCode: 3,
    code: 'FORMAT_TRUNCATED',
    says: /global\/1262 is missing.*pg_filenode\.map names it/,
  },
  {
    what: 'half a page of transaction states',
    damage: (source) => rewrite(path.join(source, 'pg_xact/0000'), (bytes) => bytes.subarray(0, 100)),
    exitCode: 3,
    code: 'FORMAT_INVALID',
    says: /pg_xact\/0000 has 100 bytes; expected a multiple of 8192/,
  },
  {
    what: 'a user tablespace',
    damage: async (source) => {
      const location = `${source}-tablespace`;
      await mkdir(path.join(location, 'PG_17_202406281'), { recursive: true });
      await symlink(location, path.join(source, 'pg_tblspc/16999'));
    },
    exitCode: 1,
    code: 'FORMAT_UNSUPPORTED',
    says: /user tablespaces: 16999 \(.*source-\d+-tablespace\); move their relations to pg_default/,
  },
  {
    what: 'a replication slot, without --allow_loss',
    damage: (source) =>
      mkdir(path.join(source, 'pg_replslot/standby_1')).then(() =>
        writeFile(path.join(source, 'pg_replslot/standby_1/state'), 'x'),
      ),
    exitCode: 1,
    code: 'FORMAT_LOSS',
    says: /replication slots: standby_1.*--allow_loss/,
  },
];

describe('an import leaves nothing behind and says what is wrong when it meets', () => {
  it.each(REFUSALS)('$what', { timeout: 60_000 }, async ({ damage, exitCode, code, says }) => {
    const failure = await refused(damage);
    expect(failure).toMatchObject({ code, exitCode });
    expect(failure.message).toMatch(says);
  });

  it('a corrupt page, named by file, block, expected and found checksum', { timeout: 120_000 }, async () => {
    const failure = await refused((source) =>
      rewrite(path.join(source, relation), flipping(3 * 8192 + 4000)),
    );
    expect(failure).toMatchObject({ code: 'FORMAT_CORRUPT_PAGE', exitCode: 3 });
    const page = (await readFile(path.join(cluster.dataDirectory, relation))).subarray(3 * 8192, 4 * 8192);
    expect(failure.message).toMatch(
      new RegExp(
        `corrupt page in ${relation}, block 3: expected checksum \\d+, found ${page.readUInt16LE(8)}; .*--ignore_page_errors`,
      ),
    );
  });

  it('a cluster of Postgres 18, which Neon has no format for', { timeout: 120_000 }, async () => {
    await using newer = await makeTestCluster({ major: 18, scale: 0.1 });
    const bucket = path.join(scratch.path, 'bucket-18');
    const failure = await neonFailure([
      'init',
      '-D',
      path.join(scratch.path, 'repository-18'),
      `--snapshot_path=${newer.dataDirectory}`,
      `--storage_dest=${bucket}`,
    ]);
    expect(failure).toMatchObject({ code: 'FORMAT_UNSUPPORTED', exitCode: 1 });
    expect(failure.message).toMatch(/Postgres 18; supported majors are 14, 15, 16, 17/);
    expect(await filesBelow(bucket)).toEqual([]);
  });
});

describe('an import on request', () => {
  it('takes many corrupt pages along, with so many warnings and a sum', { timeout: 120_000 }, async () => {
    const pages = WARNINGS_BY_NAME_MAX + 15;
    const { init } = await damagedCopy((source) =>
      rewrite(path.join(source, relation), (bytes) => {
        for (let block = 0; block < pages; block++) flipping(block * 8192 + 5000)(bytes);
        return undefined;
      }),
    );
    const { stderr } = await neon([...init, '--ignore_page_errors']);
    const warnings = stderr.split('\n').filter((line) => line.startsWith('warning: '));
    expect(warnings.filter((line) => line.includes(`corrupt page in ${relation}, block`))).toHaveLength(
      WARNINGS_BY_NAME_MAX,
    );
    expect(warnings).toHaveLength(WARNINGS_BY_NAME_MAX + 1);
    expect(warnings.at(-1)).toMatch(/15 (more|further)/);
  });

  it('leaves replication slots out, with a warning', { timeout: 120_000 }, async () => {
    const { init } = await damagedCopy(async (source) => {
      await mkdir(path.join(source, 'pg_replslot/standby_1'));
      await writeFile(path.join(source, 'pg_replslot/standby_1/state'), 'x');
    });
    const { stderr } = await neon([...init, '--allow_loss']);
    expect(stderr).toMatch(/warning: .*replication slots: standby_1; left out/);
  });
});

describe('a directory that is not at rest', () => {
  it('is refused while its server runs', { timeout: 120_000 }, async () => {
    const source = path.join(scratch.path, 'running');
    await cp(cluster.dataDirectory, source, { recursive: true });
    const { uid, gid } = await stat(cluster.dataDirectory);
    await run('chown', ['-R', `${uid}:${gid}`, source]);
    await using server = await startPostgres({ installation: cluster.installation, dataDirectory: source });
    const bucket = path.join(scratch.path, 'bucket-running');
    const init = [
      'init',
      '-D',
      `${bucket}-repository`,
      `--snapshot_path=${source}`,
      `--storage_dest=${bucket}`,
    ];
    for (const flags of [[], ['--recover']]) {
      const failure = await neonFailure([...init, ...flags]);
      expect(failure).toMatchObject({ code: 'FORMAT_RUNNING', exitCode: 1 });
      expect(failure.message).toMatch(/server|postmaster/);
    }
    expect(await filesBelow(bucket)).toEqual([]);
    await server.stop('fast');
  });

  it('after a crash is refused with the hint, and with --recover comes back with every row', {
    timeout: 120_000,
  }, async () => {
    await using crashed = await makeTestCluster({ major: 17, dataChecksums: true, shutdown: 'kill' });
    const bucket = path.join(scratch.path, 'bucket-crashed');
    const init = [
      'init',
      '-D',
      `${bucket}-repository`,
      `--snapshot_path=${crashed.dataDirectory}`,
      `--storage_dest=${bucket}`,
    ];
    const failure = await neonFailure(init);
    expect(failure).toMatchObject({ code: 'FORMAT_NOT_SHUT_DOWN', exitCode: 1 });
    expect(failure.message).toMatch(/"in production".*--recover/);
    expect(await filesBelow(bucket)).toEqual([]);
    await neon([...init, '--recover']);
    const dataDirectory = path.join(scratch.path, 'recovered');
    await neon(['export', `--storage_dest=${bucket}`, `--snapshot_path=${dataDirectory}`]);
    expect(await verifyTestCluster({ dataDirectory, expected: crashed.expected, recovered: true })).toEqual(
      [],
    );
  });
});
