import { findPostgres, initdb } from '@neon-snapshot/postgres-process';
import { startS3TestServer } from '@neon-snapshot/s3-test-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

const S3 = { env: { AWS_ACCESS_KEY_ID: 'TESTKEY', AWS_SECRET_ACCESS_KEY: 'TESTSECRET' } };

let workspace: Workspace;
let server: Awaited<ReturnType<typeof startS3TestServer>>;

beforeAll(async () => {
  workspace = await openWorkspace();
  server = await startS3TestServer({ buckets: ['bucket'] });
  await initdb({
    installation: await findPostgres({ major: 18 }),
    dataDirectory: workspace.path('data'),
    sync: false,
    dataChecksums: true,
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

function bucket(prefix: string): string {
  return `s3://bucket/${prefix}?endpoint=${server.endpoint}`;
}

describe('snapshot copy', () => {
  it('moves a data directory to a compressed base backup on S3 and back, without a repository', async () => {
    const to = ['--to_format=basebackup', `--to=${bucket('backup')}`, '--format_option=compression=zstd:1'];
    const there = await workspace.result(['snapshot', 'copy', '--from=data', ...to], S3);
    expect(there).toMatchObject({ command: 'snapshot copy', fromFormat: 'pgdata', toFormat: 'basebackup' });
    expect(there).toMatchObject({ postgresMajor: 18, consistent: true });
    const from = `--from=${bucket('backup')}`;
    const back = await workspace.result(['snapshot', 'copy', from, '--to=back', '--to_format=pgdata'], S3);
    expect(back).toMatchObject({ fromFormat: 'basebackup', systemIdentifier: there.systemIdentifier });
    const diff = await workspace.result(['snapshot', 'diff', 'data', 'back']);
    expect(diff).toMatchObject({ relationsDiffering: 0, differingBlocks: 0 });
  });

  it('writes nothing with --dry_run', async () => {
    const dry = ['snapshot', 'copy', '--from=data', '--to=dry', '--to_format=basebackup', '--dry_run'];
    expect(await workspace.result(dry)).toMatchObject({ dryRun: true });
    expect(await tree(workspace.path('dry'))).toEqual([]);
  });

  it('refuses what the target format cannot hold, a place inside the other, and a missing flag', async () => {
    const neon = ['snapshot', 'copy', '--from=data', '--to=neon', '--to_format=neon'];
    expect(await workspace.failure(neon)).toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    const inside = ['snapshot', 'copy', '--from=data', '--to=data/backup', '--to_format=basebackup'];
    expect(await workspace.failure(inside)).toMatchObject({ code: 'CLI_USAGE' });
    expect(await workspace.failure(['snapshot', 'copy', '--from=data', '--to=x'])).toMatchObject({
      code: 'CLI_USAGE',
    });
  });
});
