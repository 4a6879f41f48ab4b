import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPostgres, initdb, startPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spawnCli } from './testing/cli-process.ts';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
  await initdb({
    installation: await findPostgres({ major: 17 }),
    dataDirectory: workspace.path('data'),
    sync: false,
  });
  await workspace.result(['init', '--snapshot_path=data', '--storage_dest=bucket']);
});
afterAll(() => workspace[Symbol.asyncDispose]());

/** A copy that takes long enough to be stopped in its middle, once it has begun to write. */
async function startSlowly(...argv: string[]) {
  const rate = argv[0] === 'init' ? '500K' : '4M';
  const running = spawnCli([...argv, `--max_rate=${rate}`, '--progress=json'], {
    currentDirectory: workspace.directory,
  });
  await running.untilStderr('"phase":"copy"');
  await sleep(1000);
  return running;
}

describe('an interrupted copy', () => {
  it('of an export leaves nothing after Ctrl-C and exits 130', async () => {
    const running = await startSlowly('export', '--snapshot_path=stopped');
    expect(await tree(workspace.path('stopped'))).not.toEqual([]);
    running.child.kill('SIGINT');
    expect(await running.exited).toEqual({ code: 130, signal: null });
    expect(running.stderr()).toContain('neon: ');
    expect(await tree(workspace.path('stopped'))).toEqual([]);
  });

  it('of an init leaves no snapshot and no repository after SIGTERM, and can be run again', async () => {
    const argv = ['init', '-D', 'slow', '--snapshot_path=data', '--storage_dest=slow-bucket'];
    const running = await startSlowly(...argv);
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual({ code: 130, signal: null });
    expect(await tree(workspace.path('slow'))).toEqual([]);
    expect(await tree(workspace.path('slow-bucket'))).toEqual([]);
    expect(await workspace.result(argv)).toMatchObject({ dryRun: false });
  });

  it('of an export killed with SIGKILL leaves a directory that Postgres refuses, and export too', async () => {
    const running = await startSlowly('export', '--snapshot_path=killed');
    running.child.kill('SIGKILL');
    expect(await running.exited).toEqual({ code: null, signal: 'SIGKILL' });
    const left = await tree(workspace.path('killed'));
    expect(left).toContain('base/1');
    expect(left).not.toContain('global/pg_control');
    const starting = startPostgres({
      installation: await findPostgres({ major: 17 }),
      dataDirectory: workspace.path('killed'),
    });
    await expect(starting).rejects.toThrow(/pg_control|not a|PG_VERSION/);
    expect(await workspace.failure(['export', '--snapshot_path=killed'])).toMatchObject({
      code: 'FORMAT_NOT_EMPTY',
    });
  });

  it('of an init killed with SIGKILL leaves what is shown as incomplete, and the next init succeeds', async () => {
    const argv = ['init', '-D', 'gone', '--snapshot_path=data', '--storage_dest=gone-bucket'];
    const running = await startSlowly(...argv);
    running.child.kill('SIGKILL');
    await running.exited;
    const to = '--storage_dest=gone-bucket';
    expect((await workspace.result(['snapshot', 'ls', to])).snapshots).toEqual([]);
    expect(await tree(workspace.path('gone'))).toEqual([]);
    expect(await workspace.result(argv)).toMatchObject({ dryRun: false });
    expect((await workspace.result(['snapshot', 'ls', to])).snapshots).toHaveLength(1);
  });

  it('of a new cluster leaves no directory of initdb behind', async () => {
    await mkdir(workspace.path('scratch'), { mode: 0o755 });
    const running = spawnCli(['init', '-D', 'never', '--storage_dest=never-bucket'], {
      currentDirectory: workspace.directory,
      env: { TMPDIR: workspace.path('scratch') },
    });
    await running.untilStderr('initdb of Postgres');
    await sleep(200);
    running.child.kill('SIGINT');
    expect(await running.exited).toEqual({ code: 130, signal: null });
    for (const name of ['scratch', 'never', 'never-bucket'])
      expect(await tree(workspace.path(name))).toEqual([]);
  });
});
