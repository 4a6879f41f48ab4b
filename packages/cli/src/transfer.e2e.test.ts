import { readFile, stat, writeFile } from 'node:fs/promises';
import { makeTestCluster, type TestCluster, verifyTestCluster } from '@neon-snapshot/cluster-testkit';
import { findPostgres, initdb, startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

let workspace: Workspace;
let cluster: TestCluster;

beforeAll(async () => {
  workspace = await openWorkspace();
  cluster = await makeTestCluster({ major: 17, dataChecksums: true });
});
afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

describe('a new cluster', () => {
  it('becomes a snapshot, is listed, and comes back as a directory that stock Postgres starts', async () => {
    const repository = ['-D', 'new'];
    const made = await workspace.result([
      'init',
      ...repository,
      '--storage_dest=new-bucket',
      '--superuser=cloud_admin',
    ]);
    expect(made).toMatchObject({ command: 'init', postgresMajor: 17, dryRun: false });
    const { tenantId, timelineId } = made;
    expect(await tree(workspace.path('new-bucket'))).toContain(
      `tenants/${tenantId}/timelines/${timelineId}/initdb.tar.zst`,
    );
    const listed = await workspace.result(['snapshot', 'ls', ...repository]);
    expect(listed.snapshots).toMatchObject([{ tenantId, timelineId, state: 'ready', lsn: made.lsn }]);

    await workspace.result(['export', ...repository, '--snapshot_path=new-restored']);
    const installation = await findPostgres({ major: 17 });
    await using server = await startPostgres({
      installation,
      dataDirectory: workspace.path('new-restored'),
      superuser: 'cloud_admin',
    });
    const [row] = await server.query(
      `SELECT pg_encoding_to_char(encoding) AS encoding, datlocprovider AS provider, datlocale AS locale
       FROM pg_database WHERE datname = 'template1'`,
    );
    expect(row).toEqual({ encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8' });
  });

  it('is refused where the repository would lie inside of the data directory', async () => {
    const { dataDirectory } = cluster;
    for (const repository of [dataDirectory, `${dataDirectory}/base`]) {
      const argv = ['init', '-D', repository, `--snapshot_path=${dataDirectory}`, '--storage_dest=elsewhere'];
      expect(await workspace.failure(argv)).toMatchObject({
        code: 'CLI_USAGE',
        message: expect.stringContaining('inside of the snapshot that is imported'),
      });
    }
    expect(await tree(workspace.path('elsewhere'))).toEqual([]);
  });

  it('is not written with --dry_run: neither the archive, nor layers, nor the repository', async () => {
    const before = await tree(workspace.directory);
    const dry = await workspace.result(['init', '-D', 'dry', '--storage_dest=dry-bucket', '--dry_run']);
    expect(dry).toMatchObject({ dryRun: true });
    expect(await tree(workspace.directory)).toEqual(before);
  });
});

describe('an existing cluster', () => {
  const repository = ['-D', 'imported'];
  let made: Record<string, unknown> = {};

  beforeAll(async () => {
    made = await workspace.result([
      'init',
      ...repository,
      `--snapshot_path=${cluster.dataDirectory}`,
      '--storage_dest=bucket',
    ]);
  });

  it('is imported with its format detected, and nothing of the one-off side is saved', async () => {
    expect(made).toMatchObject({ version: 1, command: 'init', postgresMajor: 17 });
    expect(made.tenantId).toMatch(/^[0-9a-f]{32}$/);
    expect(made.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    const config = await readFile(workspace.path('imported/.neon/config.toml'), 'utf8');
    expect(config).toContain(workspace.path('bucket'));
    expect(config).toContain(String(made.tenantId));
    expect(config).not.toContain(cluster.dataDirectory);
    expect(config).not.toContain('pgdata');
  });

  it('comes back with every row, index and setting, with its progress told as JSON', async () => {
    const outcome = await workspace.neon([
      'export',
      ...repository,
      '--snapshot_path=restored',
      '--snapshot_format=pgdata',
      '--json',
      '--progress=json',
    ]);
    expect(outcome.exitCode).toBe(0);
    expect(outcome.json()).toMatchObject({
      version: 1,
      command: 'export',
      snapshotFormat: 'pgdata',
      snapshotPath: `file://${workspace.path('restored')}`,
      postgresMajor: 17,
      systemIdentifier: made.systemIdentifier,
      dryRun: false,
      bytesWritten: expect.any(Number),
      objectsWritten: expect.any(Number),
    });
    const events = outcome.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const event of events) {
      expect(event).toMatchObject({ event: 'progress', bytesDone: expect.any(Number) });
    }
    expect(events.at(-1)).toMatchObject({ phase: 'publish' });
    const problems = await verifyTestCluster({
      dataDirectory: workspace.path('restored'),
      expected: cluster.expected,
    });
    expect(problems).toEqual([]);
  });

  it('is exported from a bucket without any repository', async () => {
    const exported = await workspace.result([
      'export',
      '--storage_dest=bucket',
      `--tenant_id=${String(made.tenantId).toUpperCase()}`,
      '--snapshot_path=elsewhere',
    ]);
    expect(exported).toMatchObject({ systemIdentifier: made.systemIdentifier });
    expect((await stat(workspace.path('elsewhere/global/pg_control'))).size).toBe(8192);
  });

  it('goes from one bucket to another in the neon format, with its ids', async () => {
    await workspace.result(['export', ...repository, '--snapshot_path=copy', '--snapshot_format=neon']);
    const listed = await workspace.result(['snapshot', 'ls', '--storage_dest=copy']);
    expect(listed.snapshots).toMatchObject([{ tenantId: made.tenantId, timelineId: made.timelineId }]);
  });

  it('is shown as a snapshot, from the repository and at a path of any format', async () => {
    const own = await workspace.result(['snapshot', 'show', ...repository]);
    expect(own).toMatchObject({
      snapshotFormat: 'neon',
      systemIdentifier: made.systemIdentifier,
      dataChecksums: true,
      consistent: true,
      timelines: [{ tenantId: made.tenantId, layerCount: expect.any(Number) }],
    });
    const source = await workspace.result(['snapshot', 'show', `--snapshot_path=${cluster.dataDirectory}`]);
    expect(source).toMatchObject({ snapshotFormat: 'pgdata', systemIdentifier: made.systemIdentifier });
    const human = await workspace.neon(['snapshot', 'show', ...repository]);
    expect(human.stdout).toContain(`Postgres     17, system identifier ${String(made.systemIdentifier)}`);
  });

  it.runIf(process.platform === 'linux')(
    'is refused where neither repository nor storage_dest can be made, at once (/proc, Linux only)',
    async () => {
      const words = ['init', '--snapshot_path=data', '--storage_dest=never', '-D', '/proc/neon'];
      expect(await workspace.failure(words)).toMatchObject({ code: 'CLI_REPOSITORY_UNWRITABLE' });
      const there = ['init', '--snapshot_path=data', '--storage_dest=/proc/neon', '-D', 'never'];
      expect(await workspace.failure(there)).toHaveProperty('code', expect.stringMatching(/^STORAGE_/));
      expect(await tree(workspace.path('never'))).toEqual([]);
    },
  );

  it('is refused into a place that cannot be written, with --dry_run too', async () => {
    await writeFile(workspace.path('a-file'), 'no directory');
    const argv = ['export', '--snapshot_path=a-file/below', '--dry_run'];
    expect(await workspace.failure(argv)).toMatchObject({ exitCode: 1 });
  });

  it('writes nothing with --dry_run', async () => {
    const before = await tree(workspace.directory);
    for (const argv of [
      ['export', ...repository, '--snapshot_path=not-yet'],
      ['init', '-D', 'x', '--storage_dest=y', `--snapshot_path=${cluster.dataDirectory}`],
    ]) {
      expect(await workspace.result([...argv, '--dry_run'])).toMatchObject({ dryRun: true });
    }
    expect(await tree(workspace.directory)).toEqual(before);
  });

  it('refuses a storage_dest in use with the command that attaches it', async () => {
    const error = await workspace.failure(['init', '-D', 'second', '--storage_dest=bucket']);
    expect(error).toMatchObject({ code: 'CLI_DESTINATION_IN_USE', exitCode: 1 });
    expect(error.message).toContain(`neon start --storage_dest=file://${workspace.path('bucket')}`);
    expect(error.message).toContain(String(made.tenantId));
  });

  it('refuses a second repository, a destination with files and its own bucket', async () => {
    const cases = [
      [['init', ...repository, '--storage_dest=third'], 'REPOSITORY_EXISTS', '-D'],
      [['export', ...repository, '--snapshot_path=imported'], 'FORMAT_NOT_EMPTY', 'imported'],
      [['export', ...repository, '--snapshot_path=bucket'], 'CLI_USAGE', 'storage_dest itself'],
    ] as const;
    for (const [argv, code, hint] of cases) {
      const error = await workspace.failure(argv);
      expect(error).toMatchObject({ code });
      expect(error.message).toContain(hint);
    }
  });

  it('refuses a bad LSN, and flags that mean nothing here', async () => {
    const to = ['export', ...repository, '--snapshot_path=never'];
    expect(await workspace.failure([...to, '--lsn=bad'])).toMatchObject({
      code: 'FORMAT_OPTION',
      exitCode: 2,
    });
    expect(await workspace.failure([...to, '--lsn=0/10'])).toMatchObject({
      code: 'FORMAT_LSN_OUT_OF_RANGE',
    });
    const useless = await workspace.failure([...to, '--allow_loss']);
    expect(useless).toMatchObject({ code: 'CLI_USAGE' });
    expect(useless.message).toContain('--allow_loss means nothing');
    expect(await tree(workspace.path('never'))).toEqual([]);
  });

  it('refuses a directory that a server runs on', async () => {
    await using server = await startPostgres({
      installation: cluster.installation,
      dataDirectory: cluster.dataDirectory,
    });
    const error = await workspace.failure([
      'init',
      '-D',
      'running',
      '--storage_dest=running-bucket',
      `--snapshot_path=${cluster.dataDirectory}`,
    ]);
    expect(error).toMatchObject({ code: 'FORMAT_RUNNING', exitCode: 1 });
    await server.stop('fast');
    expect(await tree(workspace.path('running-bucket'))).toEqual([]);
  });
});

describe('a cluster that was not shut down', () => {
  it('is refused with the hint, and recovered in a scratch copy on request', async () => {
    const installation = await findPostgres({ major: 17 });
    const dataDirectory = workspace.path('crashed');
    await initdb({ installation, dataDirectory, sync: false });
    const server = await startPostgres({ installation, dataDirectory });
    await server.query('CREATE TABLE kept AS SELECT 42 AS answer');
    await server.stop('kill');
    const argv = ['init', '-D', 'recovered', '--snapshot_path=crashed', '--storage_dest=recovered-bucket'];
    const error = await workspace.failure(argv);
    expect(error).toMatchObject({ code: 'FORMAT_NOT_SHUT_DOWN', exitCode: 1 });
    expect(error.message).toContain('--recover');

    const before = await readFile(workspace.path('crashed/global/pg_control'));
    await workspace.result([...argv, '--recover']);
    expect(await readFile(workspace.path('crashed/global/pg_control'))).toEqual(before);
    await workspace.result(['export', '-D', 'recovered', '--snapshot_path=recovered-data']);
    await using restored = await startPostgres({
      installation,
      dataDirectory: workspace.path('recovered-data'),
    });
    expect(await restored.query('SELECT answer FROM kept')).toEqual([{ answer: '42' }]);
  });
});
