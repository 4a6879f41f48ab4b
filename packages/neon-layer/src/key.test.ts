import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auxFileKey } from './aux-file-key.ts';
import {
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  compareKeys,
  DBDIR_KEY,
  isInheritedKey,
  KEY_MAX,
  keyFromHex,
  keyToHex,
  nextKey,
  relBlockKey,
  relDirKey,
  relDirV2Key,
  relMapKey,
  relSizeKey,
  replOriginKey,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from './key.ts';
import { isRelationBlockKey, type ParsedKey, parseKey } from './key-kind.ts';

const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;

/** Key, its text, what it stands for: texts as Neon writes them. */
const KEYS: readonly (readonly [Uint8Array, string, ParsedKey])[] = [
  [DBDIR_KEY, '000000000000000000000000000000000000', { kind: 'db-directory' }],
  [
    relBlockKey(TAG, 7),
    '000000067F0000000500000A8C0000000007',
    { kind: 'relation-block', tag: TAG, blockNumber: 7 },
  ],
  [relSizeKey(TAG), '000000067F0000000500000A8C00FFFFFFFF', { kind: 'relation-size', tag: TAG }],
  [
    relMapKey(1663, 5),
    '000000067F00000005000000000000000000',
    { kind: 'relation-map', spcNode: 1663, dbNode: 5 },
  ],
  [
    relDirKey(1663, 5),
    '000000067F00000005000000000000000001',
    { kind: 'relation-directory', spcNode: 1663, dbNode: 5 },
  ],
  [
    relMapKey(1664, 0),
    '000000068000000000000000000000000000',
    { kind: 'relation-map', spcNode: 1664, dbNode: 0 },
  ],
  [
    slruBlockKey('clog', 3, 5),
    '010000000000000001000000030000000005',
    { kind: 'slru-block', slru: 'clog', segno: 3, blockNumber: 5 },
  ],
  [
    slruSizeKey('clog', 3),
    '0100000000000000010000000300FFFFFFFF',
    { kind: 'slru-size', slru: 'clog', segno: 3 },
  ],
  [
    slruDirKey('multixact_members'),
    '010000000100000000000000000000000000',
    { kind: 'slru-directory', slru: 'multixact_members' },
  ],
  [
    slruBlockKey('multixact_members', 0x14, 2),
    '010000000100000001000000140000000002',
    { kind: 'slru-block', slru: 'multixact_members', segno: 0x14, blockNumber: 2 },
  ],
  [TWO_PHASE_DIRECTORY_KEY, '020000000000000000000000000000000000', { kind: 'two-phase-directory' }],
  [twoPhaseFileKey(0x2e1n), '0200000000000000000000000000000002E1', { kind: 'two-phase-file', xid: 0x2e1n }],
  [
    twoPhaseFileKey(0x123456789abcdef0n),
    '02000000000000000000123456789ABCDEF0',
    { kind: 'two-phase-file', xid: 0x123456789abcdef0n },
  ],
  [CONTROL_FILE_KEY, '030000000000000000000000000000000000', { kind: 'control-file' }],
  [CHECKPOINT_KEY, '030000000000000000000000000000000001', { kind: 'checkpoint' }],
  [replOriginKey(7), '630000000000000000000000000000000007', { kind: 'replication-origin', originId: 7 }],
  [relDirV2Key(TAG), '650000067F0000000500000A8C0000000001', { kind: 'relation-directory-v2', tag: TAG }],
];

describe('keys', () => {
  it.each(KEYS)('encode, print and parse as %#', (key, text, parsed) => {
    expect(keyToHex(key)).toBe(text);
    expect(keyFromHex(text)).toEqual(key);
    expect(parseKey(key)).toEqual(parsed);
  });

  it.each([
    ['pg_logical/mappings/test1', '62000001017F8B83D94F7081693471ABF91C'],
    ['pg_logical/snapshots/test2', '62000001027F8E83D94F7081693471ABFCCD'],
    ['pg_logical/replorigin_checkpoint', '62000001032E07BB014262B821756295C58D'],
    ['pg_logical/unsupported', '62000001FF4F38E1C74754E7D03C1A660178'],
    ['pg_replslot/test3', '62000002017F8D83D94F7081693471ABFB92'],
    ['other_file_not_supported', '620000FFFF2B6ECC8AEF93F643DC44F15E03'],
    ['pg_replslot/slot1/state', '620000020169708DCE2103D47F6431FACB3E'],
    ['pg_stat/pgstat.stat', '62000003014A14AF1BD3D02542B00AA75B8E'],
  ])('hash the aux file path %s as Neon does', (path, text) => {
    expect(keyToHex(auxFileKey(path))).toBe(text);
    expect(parseKey(auxFileKey(path))).toEqual({ kind: 'aux-file' });
  });

  it('of any bytes parse to something and order as their texts do', () => {
    const anyKey = fc.uint8Array({ minLength: 18, maxLength: 18 });
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        expect(parseKey(a).kind).toBeTypeOf('string');
        expect(isRelationBlockKey(a)).toBe(a[0] === 0 && parseIsBlock(a));
        const [textA, textB] = [keyToHex(a), keyToHex(b)];
        expect(Math.sign(compareKeys(a, b))).toBe(textA < textB ? -1 : textA > textB ? 1 : 0);
      }),
    );
  });

  it('have a next key that is the smallest greater one', () => {
    expect(keyToHex(nextKey(relBlockKey(TAG, 0xffff_fffe)))).toBe(keyToHex(relSizeKey(TAG)));
    expect(keyToHex(nextKey(relSizeKey(TAG)))).toBe(keyToHex(relBlockKey({ ...TAG, forkNum: 1 }, 0)));
    expect(nextKey(KEY_MAX)).toEqual(KEY_MAX);
  });

  it('of aux files and replication origins are not inherited by a branch, sparse directories are', () => {
    expect(isInheritedKey(auxFileKey('pg_stat/pgstat.stat'))).toBe(false);
    expect(isInheritedKey(replOriginKey(1))).toBe(false);
    expect(isInheritedKey(keyFromHex('030000000000000000000000000000000002'))).toBe(false);
    expect(isInheritedKey(CHECKPOINT_KEY)).toBe(true);
    expect(isInheritedKey(relDirV2Key(TAG))).toBe(true);
  });

  it.each(['', '00', `${'0'.repeat(35)}G`, '0'.repeat(37)])('refuse the text %j', (text) => {
    expect(() => keyFromHex(text)).toThrow(expect.objectContaining({ code: 'NEON_LAYER_INVALID_NAME' }));
  });
});

function parseIsBlock(key: Uint8Array): boolean {
  const view = new DataView(key.buffer, key.byteOffset);
  return view.getUint32(9) !== 0 && view.getUint32(14) !== 0xffff_ffff;
}
