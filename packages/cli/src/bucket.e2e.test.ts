import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { findPostgres, initdb } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, tree, type Workspace } from './testing/workspace.ts';

let workspace: Workspace;
let tenantId = '';
let timelineId = '';

beforeAll(async () => {
  workspace = await openWorkspace();
  await initdb({
    installation: await findPostgres({ major: 16 }),
    dataDirectory: workspace.path('data'),
    sync: false,
    dataChecksums: true,
  });
  const made = await workspace.result(['init', '--snapshot_path=data', '--storage_dest=bucket']);
  tenantId = String(made.tenantId);
  timelineId = String(made.timelineId);
});
afterAll(() => workspace[Symbol.asyncDispose]());

function field(inspection: Record<string, unknown>, name: string): string | undefined {
  const fields = inspection.fields as readonly { readonly name: string; readonly value: string }[];
  return fields.find((each) => each.name === name)?.value;
}

async function objectKey(pattern: RegExp): Promise<string> {
  const key = (await tree(workspace.path('bucket'))).find((candidate) => pattern.test(candidate));
  if (key === undefined) throw new Error(`no object matches ${pattern}`);
  return key;
}

describe('inspect', () => {
  it('explains pg_control, for people with bytes and offsets', async () => {
    const control = await workspace.result(['inspect', 'data/global/pg_control']);
    expect(control).toMatchObject({ command: 'inspect', kind: 'pg_control', sizeBytes: 8192 });
    expect(field(control, 'state')).toBe('1 (shut down)');
    const human = await workspace.neon(['inspect', 'data/global/pg_control']);
    expect(human.stdout).toMatch(/^data\/global\/pg_control: pg_control, 8192 bytes\n0{8} {2}[0-9a-f]{16} /);
  });

  it('explains a damaged pg_control as far as it goes, says so, and exits 3', async () => {
    const bytes = await readFile(workspace.path('data/global/pg_control'));
    await mkdir(workspace.path('damaged'));
    const place = workspace.path('damaged/pg_control');
    for (const [damaged, code] of [
      [bytes.subarray(0, 100), 'POSTGRES_TRUNCATED'],
      [Uint8Array.from(bytes, (byte, at) => (at === 40 ? byte ^ 1 : byte)), 'POSTGRES_CHECKSUM'],
    ] as const) {
      await writeFile(place, damaged);
      const { exitCode, stdout } = await workspace.neon(['inspect', 'damaged/pg_control']);
      expect(exitCode).toBe(3);
      expect(stdout).toContain('systemIdentifier');
      expect(stdout).toMatch(new RegExp(`\ndamaged: .*${code}\\]`));
    }
  });

  it('explains the records of a WAL segment with their resource manager, up to a limit', async () => {
    const wal = await workspace.result(['inspect', 'data/pg_wal/000000010000000000000001', '--limit=3']);
    expect(wal).toMatchObject({ kind: 'wal-segment', records: 3, complete: false });
    const names = (wal.fields as readonly { readonly name: string; readonly value: string }[]).filter(
      ({ name }) => name.endsWith('resourceManager'),
    );
    expect(names).toHaveLength(3);
    expect(names[0]?.value).toMatch(/XLOG/);
  });

  it('explains any page of a relation and judges its checksum by its block', async () => {
    const page = await workspace.result(['inspect', 'data/base/1/1259', '--block=2']);
    expect(page).toMatchObject({ kind: 'relation-page', blockNumber: 2 });
    expect(field(page, 'checksum')).toMatch(/\(right\)$/);
    const outside = await workspace.failure(['inspect', 'data/base/1/1259', '--block=100000']);
    expect(outside).toMatchObject({ code: 'CLI_USAGE' });
    expect(outside.message).toMatch(/has \d+ blocks/);
  });

  it('explains a relation map, and a backup manifest with its checksum checked', async () => {
    const map = await workspace.result(['inspect', 'data/base/1/pg_filenode.map']);
    expect(map.entries).toContainEqual({ oid: 1259, relNode: 1259 });
    await workspace.result(['export', '--snapshot_path=exported']);
    const manifest = await workspace.result(['inspect', 'exported/backup_manifest', '--limit=5']);
    expect(manifest).toMatchObject({ kind: 'backup-manifest', manifestVersion: 1, files: { length: 5 } });
    const text = await readFile(workspace.path('exported/backup_manifest'), 'utf8');
    await writeFile(workspace.path('backup_manifest'), text.replace('"Size"', '"Sise"'));
    expect(await workspace.failure(['inspect', 'backup_manifest'])).toMatchObject({
      code: 'POSTGRES_CHECKSUM',
      exitCode: 3,
    });
  });

  it('explains layers, indexes and their URLs', async () => {
    const layer = await workspace.result([
      'inspect',
      `bucket/${await objectKey(/\/0{36}-[0-9A-F]{36}__/)}`,
      '--limit=2',
    ]);
    expect(layer).toMatchObject({ kind: 'layer', layerKind: 'image', complete: false });
    expect(field(layer, 'tenantId')).toBe(tenantId);
    expect(layer.entries).toMatchObject([
      { key: '0'.repeat(36), meaning: 'db-directory', value: expect.stringMatching(/^image of \d+ bytes$/) },
      { offset: expect.any(Number), storedBytes: expect.any(Number) },
    ]);
    const key = await objectKey(/index_part\.json/);
    const index = await workspace.result(['inspect', `file://${workspace.path('bucket')}/${key}`]);
    expect(index).toMatchObject({ kind: 'index-part', postgresMajor: 16, layersTotal: expect.any(Number) });
  });

  it('recognises files under other names by their first bytes', async () => {
    const copies = [
      ['data/global/pg_control', 'pg_control'],
      ['data/base/1/1259', 'relation-page'],
      ['data/base/1/pg_filenode.map', 'relation-map'],
      ['data/pg_wal/000000010000000000000001', 'wal-segment'],
      ['exported/backup_manifest', 'backup-manifest'],
      [`bucket/${await objectKey(/__/)}`, 'layer'],
      [`bucket/${await objectKey(/index_part/)}`, 'index-part'],
    ];
    for (const [source = '', kind] of copies) {
      await writeFile(workspace.path('renamed.bin'), await readFile(workspace.path(source)));
      expect(await workspace.result(['inspect', 'renamed.bin'])).toMatchObject({ kind });
    }
  });

  it('says what it explains where it knows nothing, and never guesses', async () => {
    for (const bytes of ['', 'hello', '{"a": 1}', '\0'.repeat(8192)]) {
      await writeFile(workspace.path('unknown'), bytes);
      const error = await workspace.failure(['inspect', 'unknown']);
      expect(error).toMatchObject({ code: 'CLI_UNKNOWN_FILE', exitCode: 1 });
      expect(error.message).toContain('wal-segment');
    }
  });

  it('exits 3 for damaged files', async () => {
    const layer = await readFile(workspace.path(`bucket/${await objectKey(/__/)}`));
    await writeFile(workspace.path('cut'), layer.subarray(0, 10_000));
    expect(await workspace.failure(['inspect', 'cut'])).toMatchObject({
      code: 'NEON_LAYER_TRUNCATED',
      exitCode: 3,
    });
    await writeFile(workspace.path('index_part.json-00000001'), '{"version": 15');
    expect(await workspace.failure(['inspect', 'index_part.json-00000001'])).toMatchObject({
      code: 'NEON_LAYER_INVALID_INDEX',
      exitCode: 3,
    });
  });
});

describe('storage', () => {
  it('lists one level or everything', async () => {
    const level = await workspace.result(['storage', 'ls', 'bucket']);
    expect(level).toMatchObject({ prefixes: ['neon-snapshot/', 'tenants/'], objects: [] });
    const all = await workspace.result(['storage', 'ls', 'bucket', '-r']);
    const keys = (all.objects as readonly { readonly key: string }[]).map(({ key }) => key);
    expect(keys).toContain(await objectKey(/index_part/));
  });

  it('checks a store and leaves nothing in it', async () => {
    const before = await tree(workspace.path('bucket'));
    expect(await workspace.failure(['storage', 'check', 'bucked'])).toMatchObject({
      code: 'CLI_NO_DIRECTORY',
    });
    expect(await tree(workspace.path('bucked'))).toEqual([]);
    const check = await workspace.result(['storage', 'check', 'bucket']);
    expect(check).toMatchObject({ usable: true });
    const probes = check.probes as readonly { readonly outcome: string }[];
    expect(probes.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    expect(await tree(workspace.path('bucket'))).toEqual(before);
  });
});

describe('tenants and timelines', () => {
  it('are listed, an interrupted import as incomplete', async () => {
    const lost = 'f'.repeat(32);
    await using copy = await openWorkspace();
    await copy.result([
      'export',
      `--storage_dest=${workspace.path('bucket')}`,
      '--snapshot_path=b',
      '--snapshot_format=neon',
      `--tenant_id=${tenantId}`,
    ]);
    const file = await objectKey(/__/);
    await mkdir(copy.path(`b/tenants/${tenantId}/timelines/${lost}`));
    await writeFile(copy.path(`b/tenants/${tenantId}/timelines/${lost}/${file.split('/').at(-1)}`), 'x');
    const timelines = await copy.result(['timeline', 'ls', '--storage_dest=b']);
    expect(timelines.timelines).toMatchObject([
      { state: 'ready', postgresMajor: 16 },
      { timelineId: lost, state: 'incomplete', lsn: null },
    ]);
    expect((await copy.result(['snapshot', 'ls', '--storage_dest=b'])).snapshots).toHaveLength(1);
    expect((await copy.result(['tenant', 'ls', '--storage_dest=b'])).tenants).toMatchObject([
      { tenantId, timelines: 1, incompleteTimelines: 1 },
    ]);
  });

  it('go only with --yes; without it the objects and bytes are shown', async () => {
    await workspace.result(['export', '--snapshot_path=second', '--snapshot_format=neon']);
    const before = await tree(workspace.path('second'));
    const target = ['timeline', 'delete', '--storage_dest=second', `--timeline=${timelineId}`];
    const shown = await workspace.result(target);
    expect(shown).toMatchObject({ deleted: false, tenantId, timelineId, objects: expect.any(Number) });
    const human = await workspace.neon(target);
    expect(human.stdout).toContain('nothing was deleted; to delete it, say --yes');
    expect(await tree(workspace.path('second'))).toEqual(before);

    expect(await workspace.result([...target, '--yes'])).toMatchObject({
      deleted: true,
      objects: shown.objects,
      bytes: shown.bytes,
    });
    expect((await workspace.result(['snapshot', 'ls', '--storage_dest=second'])).snapshots).toEqual([]);
    const tenant = ['tenant', 'delete', '--storage_dest=second', `--tenant_id=${tenantId}`];
    expect(await workspace.result([...tenant, '--yes'])).toMatchObject({ deleted: true });
    expect(await workspace.failure([...tenant, '--yes'])).toMatchObject({ code: 'FORMAT_NOT_FOUND' });
    expect(await tree(workspace.path('second'))).toEqual([]);
  });
});

describe('a snapshot with a corrupt page', () => {
  it('is refused with the place, and taken with a warning on request', async () => {
    const file = await open(workspace.path('data/base/1/1259'), 'r+');
    await file.write(Buffer.from([0xff]), 0, 1, 8192 + 4000);
    await file.close();
    const argv = ['init', '-D', 'corrupt', '--snapshot_path=data', '--storage_dest=corrupt-bucket'];
    const error = await workspace.failure(argv);
    expect(error).toMatchObject({ code: 'FORMAT_CORRUPT_PAGE', exitCode: 3 });
    expect(error.message).toContain('base/1/1259');
    expect((await workspace.result(['snapshot', 'ls', '--storage_dest=corrupt-bucket'])).snapshots).toEqual(
      [],
    );
    const outcome = await workspace.neon([...argv, '--ignore_page_errors', '--json']);
    expect(outcome.exitCode).toBe(0);
    expect(JSON.parse(outcome.stderr.trim())).toMatchObject({
      event: 'warning',
      message: expect.stringContaining('base/1/1259'),
    });
  });
});
