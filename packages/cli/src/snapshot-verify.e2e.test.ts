import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { findPostgres, initdb } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

const SAMPLE = fileURLToPath(new URL('../../../../shared/data/neon/pg17/storage', import.meta.url));
const HAS_SAMPLE = existsSync(SAMPLE) || process.env.CI === 'true';
const NOTE = HAS_SAMPLE ? '' : ' [skipped: ../shared/data/neon is not there]';

type Json = Record<string, unknown>;

let workspace: Workspace;
let timelineId = '';

beforeAll(async () => {
  workspace = await openWorkspace();
  const installation = await findPostgres({ major: 16 });
  await initdb({ installation, dataDirectory: workspace.path('data'), sync: false });
  const made = await workspace.result(['init', '--snapshot_path=data', '--storage_dest=bucket']);
  timelineId = String(made.timelineId);
});
afterAll(() => workspace[Symbol.asyncDispose]());

async function verify(...words: readonly string[]): Promise<Json & { readonly exitCode: number }> {
  const outcome = await workspace.neon(['snapshot', 'verify', ...words, '--json']);
  return { ...outcome.json(), exitCode: outcome.exitCode };
}

/** Changes bytes of a file for as long as the work takes. */
async function damaged<T>(name: string, change: (bytes: Buffer) => void, work: () => Promise<T>): Promise<T> {
  const before = await readFile(workspace.path(name));
  const bytes = Buffer.from(before);
  change(bytes);
  await writeFile(workspace.path(name), bytes);
  try {
    return await work();
  } finally {
    await writeFile(workspace.path(name), before);
  }
}

describe('snapshot verify of storage_dest', () => {
  it.each(['meta', 'hash', 'pages'])('finds nothing wrong with a sound one at level %s', async (level) => {
    const result = await verify(`--level=${level}`);
    expect(result).toMatchObject({
      exitCode: 0,
      command: 'snapshot verify',
      snapshotFormat: 'neon',
      level,
      sound: true,
      errors: 0,
      warnings: 0,
      findings: [],
      counts: { timelines: 1 },
    });
  });

  it('says what was looked at, for people', async () => {
    const { stdout, exitCode } = await workspace.neon(['snapshot', 'verify', '--level=pages']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/bucket \(neon\), level pages: timelines 1, layers \d+, .*pages \d{4}/);
    expect(stdout).toContain('nothing is wrong');
  });

  it('lists what is wrong and exits 3', async () => {
    const layer = (await tree(workspace.path('bucket'))).find((name) => /__[0-9A-F]{16}-0/.test(name));
    const found = await damaged(
      `bucket/${layer}`,
      (bytes) => bytes.fill(0xff, 8192, 8200),
      () => verify('--level=hash', '--storage_dest=bucket'),
    );
    expect(found).toMatchObject({ exitCode: 3, sound: false, errors: expect.any(Number) });
    expect(found.findings).toContainEqual(
      expect.objectContaining({ severity: 'error', code: 'LAYER_VALUE', path: layer }),
    );
  });

  it('restores it, starts Postgres, runs amcheck, reads every row, and leaves nothing behind', async () => {
    const scratch = workspace.path('scratch');
    await mkdir(scratch);
    vi.stubEnv('TMPDIR', scratch);
    const result = await verify('--level=restore', `--timeline=${timelineId}`);
    vi.unstubAllEnvs();
    expect(result).toMatchObject({ exitCode: 0, sound: true, level: 'restore' });
    expect(result.restored).toMatchObject({
      postgresVersion: expect.stringMatching(/^16\./),
      heaps: expect.any(Number),
      databases: expect.arrayContaining([{ name: 'postgres', tables: 0, rows: 0, sequences: 0 }]),
    });
    expect((result.restored as Json).heaps).toBeGreaterThan(100);
    expect(await tree(scratch)).toEqual([]);
  });

  it('makes pages by Postgres too where it is asked, and only then', async () => {
    const level = '--level=pages';
    expect(await verify(level, '--redo=stock')).toMatchObject({ exitCode: 0, counts: { stockCompared: 0 } });
    expect((await verify(level)).counts).not.toHaveProperty('stockCompared');
    expect(await verify('--level=hash', '--redo=stock')).toMatchObject({ exitCode: 2 });
    expect(await verify(level, '--redo=stock', '--snapshot_path=data')).toMatchObject({ exitCode: 2 });
  });

  it.runIf(HAS_SAMPLE)(`compares every page that a real page server stored as WAL${NOTE}`, async () => {
    const ids = [
      '--tenant_id=17101010101010101010101010101010',
      '--timeline=17202020202020202020202020202020',
    ];
    const found = await verify('--level=pages', '--redo=stock', `--storage_dest=${SAMPLE}`, ...ids);
    expect(found).toMatchObject({ exitCode: 0, errors: 0, counts: { redoFailed: 0 } });
    expect((found.counts as Record<string, number>).stockCompared).toBeGreaterThan(400);
  });

  it('refuses what does not exist', async () => {
    const unknown = await verify('--storage_dest=bucket', `--timeline=${'0'.repeat(32)}`);
    expect(unknown).toMatchObject({ exitCode: 1, error: { code: 'FORMAT_NOT_FOUND' } });
    expect(await verify('--storage_dest=bucket', '--recover')).toMatchObject({ exitCode: 2 });
  });
});

describe('snapshot verify of a data directory', () => {
  it('compares an export with its manifest', async () => {
    await workspace.result(['export', '--snapshot_path=exported']);
    const place = ['--snapshot_path=exported', '--level=hash'] as const;
    expect(await verify(...place)).toMatchObject({ exitCode: 0, snapshotFormat: 'pgdata', warnings: 0 });
    const found = await damaged(
      'exported/base/1/1259',
      (bytes) => bytes.fill(0xff, 100, 101),
      () => verify(...place),
    );
    expect(found).toMatchObject({
      exitCode: 3,
      findings: [{ code: 'FILE_CHECKSUM', path: 'base/1/1259' }],
    });
    await rm(workspace.path('exported'), { recursive: true });
  });

  it('finds pages that are none', async () => {
    const found = await damaged(
      'data/base/1/2609',
      (bytes) => bytes.fill(0xff, 8192, 8216),
      () => verify('--snapshot_path=data', '--level=pages'),
    );
    expect(found).toMatchObject({
      exitCode: 3,
      findings: [{ code: 'PAGE_HEADER', path: 'base/1/2609' }],
    });
  });

  it('finds what only amcheck sees', async () => {
    // The first line pointer of block 1 leads behind the page: offset 8191, normal, 16 bytes.
    const found = await damaged(
      'data/base/1/2609',
      (bytes) => bytes.writeUInt32LE(8191 | (1 << 15) | (16 << 17), 8192 + 24),
      async () => {
        expect(await verify('--snapshot_path=data', '--level=pages')).toMatchObject({ exitCode: 0 });
        return verify('--snapshot_path=data', '--level=restore');
      },
    );
    expect(found).toMatchObject({ exitCode: 3, sound: false });
    expect(found.findings).toContainEqual(
      expect.objectContaining({ code: 'AMCHECK', path: 'template1: pg_catalog.pg_description' }),
    );
  });
});
