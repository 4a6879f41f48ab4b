import { readFile } from 'node:fs/promises';
import { findPostgres, initdb, startPostgres } from '@neon-snapshot/postgres-process';
import { type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, type Workspace } from './testing/workspace.ts';

let workspace: Workspace;
let main: S3TestServer;
let outside: S3TestServer;

beforeAll(async () => {
  workspace = await openWorkspace();
  main = await startS3TestServer({
    buckets: ['app'],
    accessKeyId: 'MAINKEY',
    secretAccessKey: 'main-secret-0123456789',
  });
  outside = await startS3TestServer({
    buckets: ['backups'],
    accessKeyId: 'OUTSIDEKEY',
    secretAccessKey: 'outside-secret-9876543210',
  });
  await initdb({
    installation: await findPostgres({ major: 15 }),
    dataDirectory: workspace.path('data'),
    sync: false,
  });
});
afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
  await main[Symbol.asyncDispose]();
  await outside[Symbol.asyncDispose]();
});

/** Two places with credentials of their own, as roles. */
function bothRoles(): Record<string, string> {
  return {
    NEON_STORAGE_AWS_ACCESS_KEY_ID: main.accessKeyId,
    NEON_STORAGE_AWS_SECRET_ACCESS_KEY: main.secretAccessKey,
    NEON_SNAPSHOT_AWS_ACCESS_KEY_ID: outside.accessKeyId,
    NEON_SNAPSHOT_AWS_SECRET_ACCESS_KEY: outside.secretAccessKey,
    NEON_SNAPSHOT_AWS_ENDPOINT: outside.endpoint,
    NEON_SNAPSHOT_AWS_REGION: outside.region,
  };
}

describe('object storage with credentials by role', () => {
  it('takes a cluster into one bucket and out into another, and from there to a directory that starts', async () => {
    const env = {
      ...bothRoles(),
      NEON_STORAGE_AWS_ENDPOINT: main.endpoint,
      NEON_STORAGE_AWS_REGION: main.region,
    };
    const made = await workspace.result(['init', '--snapshot_path=data', '--storage_dest=s3://app/first'], {
      env,
    });
    expect(made).toMatchObject({ postgresMajor: 15 });
    // With what another command needs to find it.
    expect(made.storageDest).toContain(`endpoint=${encodeURIComponent(main.endpoint)}`);
    expect(main.keys('app').some((key) => key.startsWith('first/tenants/'))).toBe(true);

    // The endpoint was saved with storage_dest, so the credentials suffice from now on; they were not.
    const config = await readFile(workspace.path('.neon/config.toml'), 'utf8');
    expect(config).toContain(encodeURIComponent(main.endpoint));
    for (const secret of [main.secretAccessKey, outside.secretAccessKey, main.accessKeyId])
      expect(config).not.toContain(secret);

    await workspace.result(['export', '--snapshot_path=s3://backups/copy', '--snapshot_format=neon'], {
      env: bothRoles(),
    });
    expect(outside.keys('backups').some((key) => key.startsWith('copy/tenants/'))).toBe(true);

    // What was the one-off side is the storage of the next command, with the credentials of that role.
    await workspace.result(
      ['export', '--storage_dest=s3://backups/copy', '--snapshot_path=restored', '--progress=none'],
      {
        env: {
          AWS_ACCESS_KEY_ID: outside.accessKeyId,
          AWS_SECRET_ACCESS_KEY: outside.secretAccessKey,
          AWS_ENDPOINT: outside.endpoint,
          AWS_REGION: outside.region,
        },
      },
    );
    await using server = await startPostgres({
      installation: await findPostgres({ major: 15 }),
      dataDirectory: workspace.path('restored'),
    });
    const [row] = await server.query('SELECT count(*) > 300 AS ok FROM pg_class');
    expect(row).toEqual({ ok: 't' });
  });

  it('inspects and lists objects by URL, with the options of the URL kept', async () => {
    const query = `?endpoint=${encodeURIComponent(main.endpoint)}&region=${main.region}`;
    const key = main.keys('app').find((candidate) => candidate.includes('index_part.json'));
    const index = await workspace.result(['inspect', `s3://app/${key}${query}`], { env: bothRoles() });
    expect(index).toMatchObject({ kind: 'index-part', postgresMajor: 15 });
    const listed = await workspace.result(['storage', 'ls', `s3://app/first${query}`], { env: bothRoles() });
    expect(listed.prefixes).toContain('tenants/');
    const check = await workspace.result(['storage', 'check', `s3://app/scratch${query}`], {
      env: bothRoles(),
    });
    expect(check).toMatchObject({ usable: true });
    expect(main.keys('app').filter((candidate) => candidate.startsWith('scratch'))).toEqual([]);
  });

  it('refuses a store that has no conditional put, with --dry_run too, unless told that there is no other writer', async () => {
    const url = `s3://app/lonely?endpoint=${encodeURIComponent(main.endpoint)}&conditional_put=false`;
    const words = ['init', '-D', 'lonely', '--snapshot_path=data', `--storage_dest=${url}`, '--dry_run'];
    expect(await workspace.failure(words, { env: bothRoles() })).toMatchObject({
      code: 'REPOSITORY_LEASE_UNSUPPORTED',
      message: expect.stringContaining('--unsafe_no_lease'),
    });
    const outcome = await workspace.neon([...words, '--unsafe_no_lease'], { env: bothRoles() });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain('warning: s3://app/lonely');
    expect(outcome.stderr).toContain('has no conditional put');
  });

  it('refuses a store that ignores conditions before anything is imported, unless told so', async () => {
    await using ignoring = await startS3TestServer({
      buckets: ['app'],
      quirks: { conditionalPut: 'ignored', conditionalComplete: 'ignored' },
    });
    const url = `s3://app/lonely?endpoint=${encodeURIComponent(ignoring.endpoint)}`;
    const env = {
      ...bothRoles(),
      NEON_STORAGE_AWS_ACCESS_KEY_ID: ignoring.accessKeyId,
      NEON_STORAGE_AWS_SECRET_ACCESS_KEY: ignoring.secretAccessKey,
    };
    const words = ['init', '-D', 'ignored', '--snapshot_path=data', `--storage_dest=${url}`];
    expect(await workspace.failure(words, { env })).toMatchObject({ code: 'REPOSITORY_LEASE_UNSUPPORTED' });
    expect(ignoring.keys('app')).toEqual([]);
    const outcome = await workspace.neon([...words, '--unsafe_no_lease'], { env });
    expect(outcome.exitCode, outcome.stderr).toBe(0);
    expect(outcome.stderr).toContain('ignores the conditions of puts');
  });

  it('refuses wrong credentials and a missing bucket with typed errors, and writes nothing', async () => {
    const env = { ...bothRoles(), NEON_SNAPSHOT_AWS_SECRET_ACCESS_KEY: 'another-secret-000' };
    const denied = await workspace.neon(
      ['export', '--snapshot_path=s3://backups/denied', '--snapshot_format=neon', '--json'],
      { env },
    );
    expect(denied.json().error).toMatchObject({ code: 'STORAGE_ACCESS_DENIED', exitCode: 1 });
    expect(denied.stdout + denied.stderr).not.toContain('another-secret-000');
    const missing = await workspace.failure(
      ['export', '--snapshot_path=s3://nowhere/x', '--snapshot_format=neon'],
      { env: bothRoles() },
    );
    expect(missing).toMatchObject({ code: 'STORAGE_BUCKET_NOT_FOUND', exitCode: 1 });
    expect(outside.keys('backups').some((key) => key.startsWith('denied'))).toBe(false);
  });

  it('leaves nothing visible where the store fails when the index is put', async () => {
    const made = await workspace.result(['snapshot', 'ls'], { env: bothRoles() });
    const [{ tenantId, timelineId } = {}] = made.snapshots as readonly Record<string, string>[];
    outside.inject({
      operation: 'PutObject',
      key: `broken/tenants/${tenantId}/timelines/${timelineId}/index_part.json-00000001`,
      effect: { kind: 'error', status: 403, code: 'AccessDenied' },
    });
    const error = await workspace.failure(
      ['export', '--snapshot_path=s3://backups/broken', '--snapshot_format=neon'],
      { env: bothRoles() },
    );
    expect(error).toMatchObject({ code: 'STORAGE_ACCESS_DENIED' });
    expect(outside.keys('backups').filter((key) => key.startsWith('broken/'))).toEqual([]);
  });
});
