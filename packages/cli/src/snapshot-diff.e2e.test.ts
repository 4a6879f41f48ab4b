import { appendFile, cp, open, rm } from 'node:fs/promises';
import { findPostgres, initdb } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseOperand } from './diff/snapshot-operand.ts';
import { openWorkspace, type Workspace } from './testing/workspace.ts';

let workspace: Workspace;
let tenantId = '';
let timelineId = '';
let lsn = '';

beforeAll(async () => {
  workspace = await openWorkspace();
  const installation = await findPostgres({ major: 16 });
  // Without checksums here, with them there: what pages say is the same.
  await initdb({ installation, dataDirectory: workspace.path('data'), sync: false });
  const made = await workspace.result(['init', '--snapshot_path=data', '--storage_dest=bucket']);
  tenantId = String(made.tenantId);
  timelineId = String(made.timelineId);
  lsn = String(made.lsn);
  await cp(workspace.path('data'), workspace.path('changed'), { recursive: true });
  const file = await open(workspace.path('changed/base/1/1259'), 'r+');
  // One byte of block 1, and the checksum alone of block 2.
  await file.write(Uint8Array.of(0xff), 0, 1, 8192 + 8000);
  await file.write(Uint8Array.of(0x12, 0x34), 0, 2, 2 * 8192 + 8);
  await file.close();
  await appendFile(workspace.path('changed/base/1/2610'), new Uint8Array(2 * 8192));
  await appendFile(workspace.path('changed/pg_hba.conf'), '# more\n');
  await rm(workspace.path('changed/base/1/2609_vm'));
});
afterAll(() => workspace[Symbol.asyncDispose]());

const DIFFERENCES = [
  {
    path: 'base/1/1259',
    change: 'changed',
    relation: '1663/1/1259',
    fork: 0,
    differingBlocks: 1,
    firstBlocks: [1],
  },
  { path: 'base/1/2609_vm', change: 'only-in-a', fork: 2, bytesB: null, blocksA: 1, blocksB: null },
  { path: 'base/1/2610', change: 'changed', differingBlocks: 2 },
  { path: 'pg_hba.conf', change: 'changed' },
];

describe('snapshot diff', () => {
  it('finds no difference between a data directory and what was imported from it', async () => {
    const result = await workspace.result(['snapshot', 'diff', 'bucket', 'data']);
    expect(result).toMatchObject({
      command: 'snapshot diff',
      differences: [],
      a: { snapshotFormat: 'neon', postgresMajor: 16 },
      b: { snapshotFormat: 'pgdata', lsn },
      filesDiffering: 0,
      identical: true,
    });
    expect(result.filesCompared).toBeGreaterThan(800);
  });

  it.each(['bucket', 'data'])(
    'names files and blocks that differ between %s and a changed copy',
    async (a) => {
      const result = await workspace.result(['snapshot', 'diff', a, 'changed']);
      expect(result).toMatchObject({
        differences: DIFFERENCES,
        filesDiffering: 4,
        relationsDiffering: 3,
        differingBlocks: 3,
        identical: false,
      });
    },
  );

  it('says it the other way round, for people', async () => {
    const { stdout, exitCode } = await workspace.neon(['snapshot', 'diff', 'changed', 'data']);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'differs: base/1/1259, 1 block: 1',
      'only in b: base/1/2609_vm (8.0 KiB)',
      expect.stringMatching(/^differs: base\/1\/2610, [\d.]+ KiB and [\d.]+ KiB, 2 blocks: \d+, \d+$/),
      expect.stringMatching(/^differs: pg_hba.conf, /),
      expect.stringMatching(/^a {2}file:.*changed \(pgdata\), Postgres 16, system identifier \d+, at 0\//),
      expect.stringMatching(/^b {2}file:.*data \(pgdata\)/),
      expect.stringMatching(/^4 of \d+ files differ: 3 relations, 3 blocks$/),
      '',
    ]);
  });

  it('takes the repository for an empty place, and timelines and LSNs by suffix', async () => {
    for (const [a, b] of [
      [`#${timelineId}`, `bucket#${tenantId}/${timelineId}@${lsn}`],
      [`@${lsn}`, 'data'],
    ] as const)
      expect(await workspace.result(['snapshot', 'diff', a, b])).toMatchObject({ identical: true });
  });

  it.each([
    [['bucket'], 'CLI_USAGE'],
    [['bucket', 'data@0/100'], 'CLI_USAGE'],
    [['bucket@0/100', 'data'], 'FORMAT_LSN_OUT_OF_RANGE'],
    [[`bucket#${'0'.repeat(32)}`, 'data'], 'FORMAT_NOT_FOUND'],
    [['.', 'data'], 'CLI_FORMAT_UNKNOWN'],
  ])('refuses %j with %s', async (words, code) => {
    const outcome = await workspace.neon(['snapshot', 'diff', ...words, '--json']);
    expect(outcome.json().error).toMatchObject({ code });
    expect(outcome.exitCode).not.toBe(0);
  });

  it('reads a suffix only where it can be one', () => {
    const id = 'a'.repeat(32);
    const none = { tenantId: undefined, timelineId: undefined, lsn: undefined };
    expect(parseOperand(`s3://b/p?x=1#${id}@0/16B3748`)).toEqual({
      ...none,
      place: 's3://b/p?x=1',
      timelineId: id,
      lsn: '0/16B3748',
    });
    expect(parseOperand('ssh://me@host/0/16')).toEqual({ ...none, place: 'ssh://me@host/0/16' });
    expect(parseOperand('/a#b@c')).toEqual({ ...none, place: '/a#b@c' });
    expect(parseOperand('')).toEqual({ ...none, place: undefined });
  });
});
