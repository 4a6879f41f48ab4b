import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRelationName, relationName } from './inspect/relation-name.ts';
import { openWorkspace, type Workspace } from './testing/workspace.ts';

const FIXTURE = fileURLToPath(new URL('../../neon-layer/fixtures/pg17-bootstrap/storage', import.meta.url));
const SAMPLE = fileURLToPath(new URL('../../../../shared/data/neon/pg17/storage', import.meta.url));
const HAS_SAMPLE = existsSync(SAMPLE) || process.env.CI === 'true';
const NOTE = HAS_SAMPLE ? '' : ' [skipped: ../shared/data/neon is not there]';

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});
afterAll(() => workspace[Symbol.asyncDispose]());

describe('the name of a relation', () => {
  it.each([
    ['base/5/16384', 'base/5/16384'],
    ['/srv/data/base/5/16384_vm', 'base/5/16384_vm'],
    ['1663/5/16384', 'base/5/16384'],
    ['1663/5/16384.fsm', 'base/5/16384_fsm'],
    ['1664/0/1262', 'global/1262'],
    ['16400/5/16384.init', '16400/5/16384.init'],
  ])('%s is taken', (text, name) => expect(relationName(parseRelationName(text))).toBe(name));

  it.each(['base/5', '16384', 'base/5/16384.1', '0/5/1', '1663/5/99999999999', 'pg_xact/0000'])(
    '%s is refused',
    (text) => expect(() => parseRelationName(text)).toThrow(text),
  );
});

describe('inspect --page', () => {
  const bucket = [`--storage_dest=${FIXTURE}`];

  it('shows an image that nothing changed', async () => {
    const result = await workspace.result(['inspect', '--page', 'base/5/1259', '0', ...bucket]);
    expect(result).toMatchObject({
      command: 'inspect',
      kind: 'page-history',
      target: 'base/5/1259',
      blockNumber: 0,
      base: { in: 'image-layer', pdUpper: expect.any(Number) },
      records: [],
      recordsTotal: 0,
    });
    expect((result.page as { sha256: string }).sha256).toBe((result.base as { sha256: string }).sha256);
  });

  it('says what is not there, and what is no block', async () => {
    const failure = (...words: string[]) => workspace.failure(['inspect', ...words, ...bucket]);
    expect(await failure('--page', 'base/5/99', '0')).toMatchObject({
      code: 'FORMAT_NOT_FOUND',
      message: expect.stringContaining('the timeline has no such relation'),
    });
    expect(await failure('--page', 'base/5/1259', '4000')).toMatchObject({
      code: 'FORMAT_NOT_FOUND',
      message: expect.stringMatching(/the relation has \d+ blocks/),
    });
    expect(await failure('--page', 'base/5/1259', '0', '--lsn=0/1')).toMatchObject({
      code: 'FORMAT_LSN_OUT_OF_RANGE',
    });
    for (const words of [
      ['--page', 'base/5/1259', 'x'],
      ['--page', 'here', '0'],
      ['some-file', '--lsn=0/1'],
    ])
      expect(await failure(...words)).toMatchObject({ code: 'CLI_USAGE' });
  });

  it.runIf(HAS_SAMPLE)(`shows what each record did${NOTE}`, async () => {
    const words = [
      ...['inspect', '--page', 'base/5/1249', '58', '--lsn=0/2346B50', `--storage_dest=${SAMPLE}`],
      '--tenant_id=17101010101010101010101010101010',
      '--timeline=17202020202020202020202020202020',
    ];
    const { records, base } = await workspace.result(words);
    expect(base).toBeNull();
    expect(records).toMatchObject([
      { lsn: '0/2323408', resourceManager: 'Heap2', record: 'MULTI_INSERT+INIT', willInit: true },
      { lsn: '0/2324AA0', record: 'MULTI_INSERT', willInit: false, recordBytes: 782, xid: 810 },
      {
        lsn: '0/2346AD8',
        record: 'DELETE',
        effect: { before: { pdLsn: '0/2324AA0' }, after: { pdLsn: '0/2346AD8' }, changedBytes: 9 },
      },
      { lsn: '0/2346B50', record: 'DELETE' },
    ]);
    const { stdout } = await workspace.neon([...words, '--limit=2']);
    expect(stdout).toContain(
      'block 58 of base/5/1249 at 0/2346B50: 4 records on nothing; the relation has 59 blocks',
    );
    expect(stdout).toContain(
      'pd_lsn 0/2323408 → 0/2324AA0, pd_lower 132 → 156, pd_upper 4520 → 3704; 235 bytes changed',
    );
    expect(stdout).toContain('… 2 more records (--limit=2)');
  });
});
