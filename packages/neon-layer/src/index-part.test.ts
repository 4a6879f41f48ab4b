import { readFileSync } from 'node:fs';
import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { bytesToHex } from './bytes.ts';
import { encodeIndexPart, parseIndexPart } from './index-part.ts';
import { encodeTenantManifest, parseTenantManifest } from './tenant-manifest.ts';
import {
  filesBelow,
  HAS_SAMPLES,
  INDEX_FILE,
  MANIFEST_FILE,
  SAMPLE_NAMES,
  SAMPLES_NOTE,
  sampleDirectory,
} from './testing/samples.ts';
import { decodeLegacyMetadata, encodeLegacyMetadata } from './timeline-metadata.ts';

const LAYER = `${'0'.repeat(36)}-${'F'.repeat(36)}__00000000014AEC08`;
const METADATA = {
  disk_consistent_lsn: '0/14AEC08',
  prev_record_lsn: '0/14AEB90',
  ancestor_timeline: null,
  ancestor_lsn: '0/0',
  latest_gc_cutoff_lsn: '0/14AEC08',
  initdb_lsn: '0/14AEC08',
  pg_version: 15,
};
const MINIMAL = {
  version: 15,
  layer_metadata: { [LAYER]: { file_size: 32768, generation: 1 } },
  disk_consistent_lsn: '0/14AEC08',
  metadata_bytes: METADATA,
  lineage: {},
};
const INVALID_INDEX = expect.objectContaining({ code: 'NEON_LAYER_INVALID_INDEX' });
const INVALID_MANIFEST = expect.objectContaining({ code: 'NEON_LAYER_INVALID_MANIFEST' });

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const parse = (json: unknown) => parseIndexPart(bytesOf(JSON.stringify(json)));
const encoded = (json: unknown) => JSON.parse(textOf(encodeIndexPart(parse(json))));

describe('legacy timeline metadata', () => {
  it.each([
    {
      hex:
        '4a689e69 0046 0004 0000000000000200 01 0000000000000100 01 11223344556677881122334455667788' +
        '0000000000000000 0000000000000000 0000000000000000 00000010',
      metadata: {
        diskConsistentLsn: lsn(0x200n),
        prevRecordLsn: lsn(0x100n),
        ancestorTimelineId: '11223344556677881122334455667788',
        ancestorLsn: lsn(0n),
        latestGcCutoffLsn: lsn(0n),
        initdbLsn: lsn(0n),
        postgresMajor: 16,
      },
    },
    {
      hex:
        '710b9fd2 0036 0004 00000000016960e8 01 0000000001696070 00 0000000000000000' +
        '0000000001696070 0000000001696070 0000000e',
      metadata: {
        diskConsistentLsn: lsn(0x16960e8n),
        prevRecordLsn: lsn(0x1696070n),
        ancestorTimelineId: undefined,
        ancestorLsn: lsn(0n),
        latestGcCutoffLsn: lsn(0x1696070n),
        initdbLsn: lsn(0x1696070n),
        postgresMajor: 14,
      },
    },
  ])("of major $metadata.postgresMajor equals Neon's vector", ({ hex, metadata }) => {
    const bytes = encodeLegacyMetadata(metadata);
    expect(bytesToHex(bytes)).toBe(hex.replaceAll(' ', '').padEnd(1024, '0'));
    expect(decodeLegacyMetadata(bytes)).toEqual(metadata);
    expect(parse({ ...MINIMAL, version: 6, metadata_bytes: [...bytes] }).metadata).toEqual(metadata);
  });

  it('without a major is of 14', () => {
    const bytes = encodeLegacyMetadata(parse(MINIMAL).metadata);
    bytes[7] = 3;
    expect(() => decodeLegacyMetadata(bytes)).toThrow(/4 bytes follow the end/);
  });

  it('refuses any flipped bit of what its checksum covers, and other lengths', () => {
    const bytes = encodeLegacyMetadata(parse(MINIMAL).metadata);
    for (let i = 0; i < 54; i += 1) {
      const damaged = Uint8Array.from(bytes);
      damaged[i] = (damaged[i] ?? 0) ^ 0x10;
      expect(() => decodeLegacyMetadata(damaged)).toThrow(
        expect.objectContaining({ code: 'NEON_LAYER_INVALID_VALUE' }),
      );
    }
    expect(() => parse({ ...MINIMAL, metadata_bytes: [1, 2] })).toThrow(INVALID_INDEX);
  });
});

describe('index_part.json', () => {
  it('is read into layers and metadata', () => {
    const index = parse(MINIMAL);
    expect([...index.layers]).toEqual([[LAYER, { fileSize: 32768, generation: 1 }]]);
    expect(index).toMatchObject({ version: 15, diskConsistentLsn: 0x14aec08n });
    expect(index.metadata).toMatchObject({ prevRecordLsn: 0x14aeb90n, postgresMajor: 15 });
    expect(encoded(MINIMAL)).toEqual(MINIMAL);
  });

  it('keeps all fields it knows and those that it does not know', () => {
    const full = {
      ...MINIMAL,
      layer_metadata: { [LAYER]: { file_size: 8, generation: 4294967295, shard: '0008' } },
      deleted_at: '2026-11-22T09:02:12',
      archived_at: '2026-11-22T09:02:12.426657217',
      lineage: { original_ancestor: ['1'.repeat(32), '0/8', '2026-11-22T09:02:12'] },
      gc_blocking: { started_at: '2026-11-22T09:02:12', reasons: ['Manual'] },
      rel_size_migration: 'migrated',
      rel_size_migrated_at: '0/14AEC08',
      gc_compaction: { last_completed_lsn: '0/8' },
      l2_lsn: '0/8',
      last_aux_file_policy: 'v2',
      import_pgdata: { V1: { Done: { idempotency_key: 'k' } } },
      marked_invisible_at: '2026-11-22T09:02:12',
      of_the_future: [1, { a: null }],
    };
    expect(encoded(full)).toEqual(full);
  });

  it('keeps numbers of unknown fields as they were written', () => {
    const text = JSON.stringify(MINIMAL).replace(
      '"lineage":{}',
      '"lineage":{},"x":[18446744073709551615,1.50]',
    );
    const back = textOf(encodeIndexPart(parseIndexPart(bytesOf(text))));
    expect(back).toContain('"x":[18446744073709551615,1.50]');
  });

  it('of old versions is read, and written in the newest', () => {
    const { metadata_bytes, version, lineage, ...rest } = MINIMAL;
    const old = { ...rest, timeline_layers: [LAYER], missing_layers: [], metadata: metadata_bytes };
    expect(parse(old).version).toBe(0);
    expect(encoded(old)).toEqual(MINIMAL);
    expect(parse({ ...MINIMAL, version: 99 }).version).toBe(99);
    expect([version, lineage]).toEqual([15, {}]);
  });

  it('may have a null or a zero previous record, which stay apart', () => {
    for (const prev_record_lsn of [null, '0/0']) {
      const index = { ...MINIMAL, metadata_bytes: { ...METADATA, prev_record_lsn } };
      expect(encoded(index)).toEqual(index);
    }
  });

  it.each([
    ['no object', '[]'],
    ['cut off', JSON.stringify(MINIMAL).slice(0, -1)],
    ['a file size above 2^53', JSON.stringify(MINIMAL).replace('32768', '9007199254740993')],
    ['a negative file size', JSON.stringify(MINIMAL).replace('32768', '-1')],
    ['a fractional file size', JSON.stringify(MINIMAL).replace('32768', '1.5')],
    ['a generation above u32', JSON.stringify(MINIMAL).replace('"generation":1', '"generation":4294967296')],
    ['no layer_metadata', JSON.stringify({ ...MINIMAL, layer_metadata: undefined })],
    ['a layer name that is none', JSON.stringify({ ...MINIMAL, layer_metadata: { x: { file_size: 1 } } })],
    ['a layer without size', JSON.stringify({ ...MINIMAL, layer_metadata: { [LAYER]: {} } })],
    ['no metadata', JSON.stringify({ ...MINIMAL, metadata_bytes: undefined })],
    ['metadata without a field', JSON.stringify({ ...MINIMAL, metadata_bytes: { pg_version: 15 } })],
    ['an LSN that is none', JSON.stringify({ ...MINIMAL, disk_consistent_lsn: '14AEC08' })],
    ['an unknown migration', JSON.stringify({ ...MINIMAL, rel_size_migration: 'x' })],
    ['a shard that is none', JSON.stringify(MINIMAL).replace('"generation":1', '"shard":"0908"')],
  ])('is refused with %s', (_, text) => {
    expect(() => parseIndexPart(bytesOf(text))).toThrow(INVALID_INDEX);
  });

  it('gives a typed error or an index for every cut and every flipped byte', () => {
    const bytes = bytesOf(JSON.stringify(MINIMAL));
    for (let i = 0; i < bytes.length; i += 1) {
      const damaged = Uint8Array.from(bytes);
      damaged[i] = (damaged[i] ?? 0) ^ (1 << (i % 8));
      expect(() => parseIndexPart(bytes.subarray(0, i))).toThrow(INVALID_INDEX);
      expect(outcomeOf(() => parseIndexPart(damaged))).toMatch(/^(index|NEON_LAYER_INVALID_INDEX)$/);
    }
  });
});

describe('the tenant manifest', () => {
  const manifest = {
    version: 2,
    stripe_size: 2048,
    offloaded_timelines: [
      {
        timeline_id: '1'.repeat(32),
        ancestor_timeline_id: '2'.repeat(32),
        ancestor_retain_lsn: '0/169AD58',
        archived_at: '2024-11-04T11:13:14.123456789',
      },
      {
        timeline_id: '3'.repeat(32),
        ancestor_timeline_id: null,
        ancestor_retain_lsn: null,
        archived_at: 'x',
      },
    ],
    of_the_future: 1,
  };

  it('comes back with its unknown fields', () => {
    const parsed = parseTenantManifest(bytesOf(JSON.stringify(manifest)));
    expect(parsed.offloadedTimelines[0]?.ancestorRetainLsn).toBe(0x169ad58n);
    expect(JSON.parse(textOf(encodeTenantManifest(parsed)))).toEqual(manifest);
  });

  it.each(['{}', '{"version":2}', '{"version":2,"offloaded_timelines":[{"timeline_id":"x"}]}', '"'])(
    'is refused as %s',
    (text) => {
      expect(() => parseTenantManifest(bytesOf(text))).toThrow(INVALID_MANIFEST);
    },
  );
});

describe.runIf(HAS_SAMPLES)(`indexes and manifests of a real page server${SAMPLES_NOTE}`, () => {
  it.each(SAMPLE_NAMES)('of %s encode to the same content', (name) => {
    const storage = `${sampleDirectory(name)}storage`;
    const indexes = filesBelow(storage, INDEX_FILE);
    expect(indexes.length).toBeGreaterThan(1);
    for (const path of indexes) {
      const bytes = readFileSync(path);
      expect(JSON.parse(textOf(encodeIndexPart(parseIndexPart(bytes))))).toEqual(JSON.parse(textOf(bytes)));
    }
    for (const path of filesBelow(storage, MANIFEST_FILE)) {
      const bytes = readFileSync(path);
      expect(textOf(encodeTenantManifest(parseTenantManifest(bytes)))).toBe(textOf(bytes));
    }
  });
});

function outcomeOf(action: () => unknown): string {
  try {
    action();
    return 'index';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
