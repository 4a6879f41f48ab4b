import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, type Workspace } from './testing/workspace.ts';

const TIMEOUT = { timeout: 180_000 } as const;
/** A lease has to come to its expiry, half a minute. */
const LONG_NOTE = process.env.CI === 'true' ? '' : ' [in CI only: it takes half a minute]';

type Json = Record<string, unknown>;
interface Status extends Json {
  readonly pageserver: { readonly running: boolean; readonly pid: number | null };
  readonly timelines: readonly Json[];
  readonly endpoints: readonly {
    readonly name: string;
    readonly pid: number | null;
    readonly connectionString: string;
  }[];
}

let workspace: Workspace;
beforeAll(async () => {
  workspace = await openWorkspace();
});
afterAll(async () => {
  await workspace.neon(['stop', '--mode=immediate', '--timeout=5s']);
  await workspace.neon(['stop', '-D', 'second', '--mode=immediate', '--timeout=5s']);
  await workspace[Symbol.asyncDispose]();
});

const status = async (...words: string[]) => (await workspace.result(['status', ...words])) as Status;

describe('neon start', TIMEOUT, () => {
  it('without a repository and a storage says how to make one', async () => {
    expect(await workspace.failure(['start'])).toMatchObject({
      code: 'CLI_NO_REPOSITORY',
      message: expect.stringContaining('neon init'),
    });
  });

  it('with a storage that is not there yet makes a cluster in it and serves it', async () => {
    const started = await workspace.result(['start', '--storage_dest=bucket', '--pg_version=16']);
    expect(started).toMatchObject({
      wasRunning: false,
      pageserver: { engine: 'embedded', durability: 'local', pushIntervalMs: 1000 },
      endpoints: [{ name: 'main', postgresMajor: 16, running: true, wasRunning: false, reused: false }],
    });
    await expect
      .poll(async () => (await status()).timelines[0]?.walSource, { timeout: 20_000 })
      .toBe('streaming');
    const { pageserver, timelines, endpoints } = await status();
    expect(pageserver).toMatchObject({ running: true, pid: expect.any(Number) });
    expect(timelines).toMatchObject([{ postgresMajor: 16, failure: null }]);
    expect(endpoints).toMatchObject([
      {
        pid: expect.any(Number),
        connectionString: expect.stringMatching(
          /^postgresql:\/\/postgres@127\.0\.0\.1:\d+\/postgres\?passfile=/,
        ),
      },
    ]);
  });

  it('again changes nothing', async () => {
    const before = await status();
    const again = await workspace.result(['start']);
    expect(again).toMatchObject({ wasRunning: true, endpoints: [{ wasRunning: true }] });
    expect((await status()).pageserver.pid).toBe(before.pageserver.pid);
  });

  it('refuses another storage than the repository has, and flags of a new cluster', async () => {
    expect(await workspace.failure(['start', '--storage_dest=elsewhere'])).toMatchObject({
      code: 'CLI_OTHER_STORAGE_DEST',
    });
    expect(await workspace.failure(['start', '--pg_version=17'])).toMatchObject({
      code: 'CLI_USAGE',
      message: expect.stringContaining('--pg_version is for a new cluster'),
    });
    expect(await workspace.failure(['start', '--engine=neon'])).toMatchObject({ code: 'CLI_USAGE' });
  });
});

describe('branches and named snapshots', TIMEOUT, () => {
  it('are made, listed, served by an endpoint of their own, and deleted', async () => {
    const snapshot = await workspace.result(['snapshot', 'create', 'before']);
    expect(await workspace.failure(['snapshot', 'create', 'before'])).toMatchObject({
      code: 'REPOSITORY_REF_EXISTS',
    });
    const branch = await workspace.result(['branch', 'create', 'try', `--lsn=${String(snapshot.lsn)}`]);
    expect(branch).toMatchObject({ ancestorLsn: snapshot.lsn });
    const { branches } = (await workspace.result(['branch', 'list'])) as {
      readonly branches: readonly Json[];
    };
    expect(branches.map((each) => each.name).sort()).toEqual(['main', 'try']);
    await workspace.result(['endpoint', 'create', 'tries', '--branch=try']);
    expect(await workspace.result(['endpoint', 'start', 'tries'])).toMatchObject({
      running: true,
      reused: false,
    });
    expect(await workspace.failure(['branch', 'delete', 'try', '--yes'])).toMatchObject({
      message: expect.stringContaining('endpoint tries runs on this branch'),
    });
    expect(await workspace.result(['endpoint', 'stop', 'tries'])).toMatchObject({ outcome: 'clean' });
    expect(await workspace.result(['branch', 'delete', 'try'])).toMatchObject({ deleted: false });
    expect(await workspace.result(['branch', 'delete', 'try', '--yes'])).toMatchObject({ deleted: true });
    expect(await workspace.result(['snapshot', 'ls'])).toMatchObject({
      named: [{ name: 'before', lsn: snapshot.lsn }],
    });
    await workspace.result(['snapshot', 'rm', 'before']);
    expect(await workspace.result(['snapshot', 'ls'])).toMatchObject({ named: [] });
    expect(await workspace.failure(['endpoint', 'create', 'x', '--branch=non'])).toMatchObject({
      code: 'CLI_BRANCH_NOT_FOUND',
      message: expect.stringContaining('there are: main'),
    });
  });
});

describe('what runs', TIMEOUT, () => {
  it('is exported at its current end', async () => {
    const { timelines } = await status();
    const exported = await workspace.result(['export', '--snapshot_path=exported']);
    expect(BigInt(`0x${String(exported.lsn).replace('/', '')}`)).toBeGreaterThanOrEqual(
      BigInt(`0x${String(timelines[0]?.lastRecordLsn).replace('/', '')}`),
    );
  });

  it('cannot be deleted meanwhile', async () => {
    const { tenantId } = await status();
    const words = ['tenant', 'delete', `--tenant_id=${String(tenantId)}`, '--yes'];
    expect(await workspace.failure(words)).toMatchObject({ code: 'REPOSITORY_LEASE_HELD' });
  });

  it.runIf(process.env.CI === 'true')(`keeps a second page server away${LONG_NOTE}`, async () => {
    const held = await workspace.failure(['start', '-D', 'second', '--storage_dest=bucket']);
    expect(held).toMatchObject({
      code: 'REPOSITORY_LEASE_HELD',
      message: expect.stringContaining('neon start'),
    });
  });

  it('ends when a second page server takes over', async () => {
    await workspace.result(['start', '-D', 'second', '--storage_dest=bucket', '--take_over']);
    for (let round = 0; (await status()).pageserver.running && round < 300; round += 1)
      await new Promise((done) => setTimeout(done, 100));
    expect((await status()).pageserver).toMatchObject({ running: false });
    const { lines } = (await workspace.result(['logs'])) as { readonly lines: readonly string[] };
    expect(lines.join('\n')).toContain('"kind":"fenced"');
    await workspace.result(['stop', '-D', 'second']);
  });

  it('stops, can be stopped twice, and is made again from its storage alone', async () => {
    await workspace.result(['start']);
    expect(await workspace.result(['stop'])).toMatchObject({ pageserver: 'clean' });
    expect(await workspace.result(['stop'])).toMatchObject({ pageserver: 'not-running', endpoints: [] });
    expect(await workspace.result(['storage', 'flush'])).toMatchObject({ timelines: [expect.any(String)] });
    await rm(workspace.path('.neon'), { recursive: true });
    const started = await workspace.result(['start', '--storage_dest=bucket']);
    expect(started).toMatchObject({ endpoints: [{ postgresMajor: 16, reused: false }] });
    await workspace.result(['stop']);
  });
});

describe('neon storage config', () => {
  it("gives a storage in the words of Neon's programs", async () => {
    const url = '--storage_dest=s3://bucket/a/b?region=eu-1&endpoint=http://localhost:9000';
    expect(await workspace.result(['storage', 'config', url])).toMatchObject({
      remoteStorage: {
        bucket_name: 'bucket',
        bucket_region: 'eu-1',
        prefix_in_bucket: '/a/b/',
        endpoint: 'http://localhost:9000',
      },
    });
    const { stdout } = await workspace.neon([
      'storage',
      'config',
      '--for=safekeeper',
      '--storage_dest=/srv/x',
    ]);
    expect(stdout).toBe(`--remote-storage='{ local_path = "/srv/x" }'\n`);
  });
});
