import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BackupManifestWriter,
  formatManifestCrc32c,
  manifestVersionOf,
  parseBackupManifest,
} from './backup-manifest.ts';
import { decodeControlFile } from './control-file.ts';
import { lsn } from './lsn.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';

const MODIFIED = new Date('2026-11-22T05:38:49Z');

describe.each(FIXTURES)('backup_manifest of major $major', ({ major, manifest, controlFile }) => {
  it('gives the same bytes when parsed and written', () => {
    const parsed = parseBackupManifest(manifest);
    expect(parsed.version).toBe(manifestVersionOf(major));
    const { version, systemIdentifier } = parsed;
    const writer = new BackupManifestWriter({
      version,
      ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
    });
    for (const file of parsed.files) writer.addFile(file);
    expect(new TextDecoder().decode(writer.finish(parsed.walRanges))).toBe(
      new TextDecoder().decode(manifest),
    );
  });

  it('holds the identifier of its cluster in full from 17 on', () => {
    const expected = major >= 17 ? decodeControlFile(controlFile).systemIdentifier : undefined;
    expect(parseBackupManifest(manifest).systemIdentifier).toBe(expected);
  });

  it('lists pg_control with the CRC that is constant for its layout', () => {
    const file = parseBackupManifest(manifest).files.find(({ path }) => path === 'global/pg_control');
    const hex = major >= 18 ? '93513075' : '43872087';
    expect(file).toMatchObject({ size: 8192, checksum: { algorithm: 'CRC32C', hex } });
  });
});

describe('backup_manifest', () => {
  it('prints CRC-32C in little-endian order', () => {
    expect(formatManifestCrc32c(0xbb608122)).toBe('228160bb');
    expect(formatManifestCrc32c(0)).toBe('00000000');
  });

  it('survives writing and parsing with any path, size and checksum', () => {
    const file = fc.record({
      path: fc.string({ unit: 'grapheme', minLength: 1 }),
      size: fc.nat(),
      modifiedAt: fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => new Date(seconds * 1000)),
      checksum: fc.record({
        algorithm: fc.constantFrom('CRC32C' as const, 'SHA224' as const, 'SHA512' as const),
        hex: fc.nat(0xffff_ffff).map(formatManifestCrc32c),
      }),
    });
    fc.assert(
      fc.property(
        fc.array(file),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (files, systemIdentifier) => {
          const walRanges = [{ timeLineId: 1, startLsn: lsn(0x2000028n), endLsn: lsn(systemIdentifier) }];
          const writer = new BackupManifestWriter({ version: 2, systemIdentifier });
          for (const each of files) writer.addFile(each);
          expect(parseBackupManifest(writer.finish(walRanges))).toEqual({
            version: 2,
            systemIdentifier,
            files,
            walRanges,
          });
        },
      ),
    );
  });

  it('reads encoded paths and files without checksum', () => {
    const file = { Size: 1, 'Last-Modified': '2026-11-22 05:38:49 GMT', 'Encoded-Path': 'c3a9' };
    const manifest = seal(
      `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${JSON.stringify(file)}\n],\n"WAL-Ranges": [\n],\n`,
    );
    expect(parseBackupManifest(manifest).files).toEqual([{ path: 'é', size: 1, modifiedAt: MODIFIED }]);
  });

  it('without files and ranges parses', () => {
    const bytes = new BackupManifestWriter({ version: 1 }).finish([]);
    expect(parseBackupManifest(bytes)).toEqual({ version: 1, files: [], walRanges: [] });
  });

  it('is refused when cut or changed anywhere', () => {
    const writer = new BackupManifestWriter({ version: 2, systemIdentifier: 7n });
    writer.addFile({
      path: 'base/5/1259',
      size: 8192,
      modifiedAt: MODIFIED,
      checksum: { algorithm: 'CRC32C', hex: '228160bb' },
    });
    const bytes = writer.finish([{ timeLineId: 1, startLsn: lsn(1n), endLsn: lsn(2n) }]);
    for (let size = 0; size < bytes.length - 1; size++) {
      expectFormatError(() => parseBackupManifest(bytes.subarray(0, size)), 'POSTGRES_INVALID');
    }
    for (let bit = 0; bit < (bytes.length - 1) * 8; bit++) {
      expectFormatError(() => parseBackupManifest(withFlippedBit(bytes, bit)));
    }
  });

  it.each([
    ['version', '"PostgreSQL-Backup-Manifest-Version": 3, "Files": []', 'POSTGRES_UNSUPPORTED_VERSION'],
    ['identifier', '"PostgreSQL-Backup-Manifest-Version": 2, "Files": []', 'POSTGRES_INVALID'],
    ['files', '"PostgreSQL-Backup-Manifest-Version": 1, "Files": {}', 'POSTGRES_INVALID'],
    ['file', '"PostgreSQL-Backup-Manifest-Version": 1, "Files": [1]', 'POSTGRES_INVALID'],
    [
      'size',
      '"PostgreSQL-Backup-Manifest-Version": 1, "Files": [{"Path": "a", "Size": -1}]',
      'POSTGRES_INVALID',
    ],
    [
      'range',
      '"PostgreSQL-Backup-Manifest-Version": 1, "Files": [], "WAL-Ranges": [{"Timeline": 1}]',
      'POSTGRES_INVALID',
    ],
  ] as const)('with a wrong %s is refused', (_, fields, code) => {
    expectFormatError(() => parseBackupManifest(seal(`{ ${fields},\n`)), code);
  });

  it('is not written with an identifier in version 1, without one in 2, or with impossible files', () => {
    expectFormatError(() => new BackupManifestWriter({ version: 2 }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(
      () => new BackupManifestWriter({ version: 1, systemIdentifier: 1n }),
      'POSTGRES_OUT_OF_RANGE',
    );
    const writer = new BackupManifestWriter({ version: 1 });
    const file = { path: 'a', size: 1, modifiedAt: MODIFIED };
    expectFormatError(() => writer.addFile({ ...file, size: -1 }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(() => writer.addFile({ ...file, path: '' }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(
      () => writer.addFile({ ...file, modifiedAt: new Date(Number.NaN) }),
      'POSTGRES_OUT_OF_RANGE',
    );
    const checksum = { algorithm: 'CRC32C', hex: 'XY' } as const;
    expectFormatError(() => writer.addFile({ ...file, checksum }), 'POSTGRES_OUT_OF_RANGE');
  });

  it('of real servers has thousands of digits that a parser must not lose', () => {
    expect(parseBackupManifest(fixtureOf(18).manifest).files.length).toBeGreaterThan(900);
  });
});

/** Ends a hand-written manifest with its checksum. */
function seal(body: string): Uint8Array {
  const checksum = createHash('sha256').update(body).digest('hex');
  return new TextEncoder().encode(`${body}"Manifest-Checksum": "${checksum}"}\n`);
}
