import { lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage, isStorageError } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { encodePlainBlob } from './blob.ts';
import { DeltaLayerBuilder } from './delta-layer-builder.ts';
import { ImageLayerBuilder } from './image-layer-builder.ts';
import { DBDIR_KEY, KEY_MAX, KEY_MIN, relBlockKey, relSizeKey } from './key.ts';
import type { BuiltLayer } from './layer-assembly.ts';
import { isNeonLayerError } from './layer-error.ts';
import { LayerFile } from './layer-file.ts';
import { createPageCompressor } from './page-compressor.ts';
import { createPageDecompressor } from './page-decompressor.ts';
import { decodeValue, encodeValue } from './value.ts';

const IDENTITY = {
  tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
  timelineId: '641e5342083b2235ee3deb8066819683',
};
const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;
const LSN = lsn(0x14aec08n);

const compressor = createPageCompressor();
const decompressor = createPageDecompressor();

/** A layer file in memory. */
interface File {
  readonly layer: BuiltLayer;
  readonly bytes: Uint8Array;
}

const fileOf = (layer: BuiltLayer): File => ({ layer, bytes: Uint8Array.from(Buffer.concat(layer.chunks)) });

/** Three compressed pages, a size and a directory. */
function smallImage(): File {
  const builder = new ImageLayerBuilder({ ...IDENTITY, lsn: LSN, keyStart: KEY_MIN });
  builder.appendBlob(DBDIR_KEY, encodePlainBlob(new Uint8Array(8)));
  for (let block = 0; block < 3; block += 1) {
    builder.appendBlob(relBlockKey(TAG, block), compressor.encodeBlob(Buffer.alloc(8192, `page ${block}`)));
  }
  builder.appendBlob(relSizeKey(TAG), encodePlainBlob(Uint8Array.of(3, 0, 0, 0)));
  return fileOf(builder.finish(KEY_MAX));
}

/** Enough entries for leaves below a root. */
function tallImage(): File {
  const builder = new ImageLayerBuilder({ ...IDENTITY, lsn: LSN, keyStart: KEY_MIN });
  const lengths = new Uint32Array(2500).fill(2);
  const blobs = new Uint8Array(5000).fill(1);
  builder.appendRun({ keyPrefix: relBlockKey(TAG, 0), blockNumbers: 0, blobs, lengths });
  return fileOf(builder.finish(KEY_MAX));
}

function smallDelta(): File {
  const builder = new DeltaLayerBuilder({ ...IDENTITY, keyStart: KEY_MIN, lsnStart: LSN });
  for (let i = 0; i < 3; i += 1) {
    const value = encodeValue({ kind: 'image', image: new Uint8Array(20 + i) });
    builder.append({ key: relBlockKey(TAG, i), lsn: lsn(LSN + 8n), value, willInit: true });
  }
  return fileOf(builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(LSN + 9n) }));
}

/** Reads all values; the number of bytes they have. Only typed errors may come out. */
async function readAllValues({ layer }: File, bytes: Uint8Array): Promise<number | string> {
  const storage = createMemoryStorage();
  await storage.put('layer', bytes);
  try {
    const options = { desc: layer.desc, sizeBytes: bytes.length, tenantId: IDENTITY.tenantId };
    const file = await LayerFile.open(storage, 'layer', options);
    let sum = 0;
    let entries = 0;
    for await (const { blob } of file.readBlobs(file.entries())) {
      const value = decompressor.decodeBlob(blob, { sizeMaxBytes: 1 << 20 });
      sum += layer.desc.kind === 'delta' ? encodeValue(decodeValue(value)).length : value.length;
      entries += 1;
      if (entries > layer.entryCount) return 'more entries than the file has';
    }
    return sum;
  } catch (error) {
    if (isNeonLayerError(error) || isStorageError(error)) return error.code;
    throw error;
  }
}

const withByte = (bytes: Uint8Array, offset: number, value: number): Uint8Array => {
  const damaged = Uint8Array.from(bytes);
  damaged[offset] = value;
  return damaged;
};

const FILES = [
  ['an image layer', smallImage()],
  ['a delta layer', smallDelta()],
] as const;

describe.each(FILES)('%s', (_, file) => {
  it('with any one byte changed gives values or a typed error', async () => {
    const codes = new Set<string>();
    const used = usedOffsets(file.bytes);
    for (const offset of used) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const outcome = await readAllValues(
          file,
          withByte(file.bytes, offset, (file.bytes[offset] ?? 0) ^ flip),
        );
        if (typeof outcome === 'string') codes.add(outcome);
      }
    }
    expect(used.length).toBeGreaterThan(200);
    expect(
      [...codes].every((code) =>
        /^NEON_LAYER_(CORRUPT|MISMATCH|UNKNOWN_VERSION|INVALID_VALUE|TOO_LARGE)$/.test(code),
      ),
    ).toBe(true);
  });

  it('cut off at any byte is refused', async () => {
    for (let length = 0; length < file.bytes.length; length += length < 300 ? 1 : 61) {
      expect(await readAllValues(file, file.bytes.slice(0, length))).toMatch(
        /^NEON_LAYER_(TRUNCATED|CORRUPT)$/,
      );
    }
  });

  it('is refused under another name, tenant or size', async () => {
    const storage = createMemoryStorage();
    await storage.put('layer', file.bytes);
    const right = { desc: file.layer.desc, sizeBytes: file.bytes.length, tenantId: IDENTITY.tenantId };
    const mismatch = { code: 'NEON_LAYER_MISMATCH', context: { layer: 'layer' } };
    const wrong = [
      { ...right, tenantId: '0'.repeat(32) },
      { ...right, desc: { ...right.desc, keyStart: DBDIR_KEY.map(() => 1) } },
      { ...right, desc: { ...right.desc, lsnStart: lsn(8n) } },
      {
        ...right,
        desc: { ...right.desc, kind: right.desc.kind === 'image' ? ('delta' as const) : ('image' as const) },
      },
      { ...right, sizeBytes: right.sizeBytes + 8192 },
      { ...right, sizeBytes: right.sizeBytes - 8192 },
    ];
    for (const options of wrong) {
      await expect(LayerFile.open(storage, 'layer', options)).rejects.toMatchObject(
        options.sizeBytes > right.sizeBytes ? { name: expect.stringMatching(/Error$/) } : mismatch,
      );
    }
  });
});

describe('an index with leaves below a root', () => {
  const file = tallImage();
  const indexStart = file.bytes.length - file.layer.chunks.slice(-4).length * 8192;

  it('reads back all entries', async () => {
    expect(await readAllValues(file, file.bytes)).toBe(2500);
  });

  it('with any one byte of a node changed gives values or a typed error', async () => {
    for (let block = 0; block < 4; block += 1) {
      const node = indexStart + block * 8192;
      for (let i = 0; i < 8192; i += i < 80 ? 1 : 97) {
        const outcome = await readAllValues(
          file,
          withByte(file.bytes, node + i, (file.bytes[node + i] ?? 0) ^ 0x55),
        );
        expect(String(outcome)).toMatch(/^\d+$|^NEON_LAYER_CORRUPT$/);
      }
    }
  });

  it('whose root points at itself, at one child twice, or outside, is refused', async () => {
    const view = new DataView(file.bytes.buffer);
    const root = indexStart + 3 * 8192;
    const count = view.getUint16(root);
    expect([count, view.getUint8(root + 2)]).toEqual([3, 1]);
    const values = root + 5 + (file.bytes[root + 3] ?? 0) + count * (file.bytes[root + 4] ?? 0);
    for (const [entry, target] of [
      [1, 3],
      [1, 0],
      [2, 1],
      [0, 4],
      [0, 255],
    ] as const) {
      expect(await readAllValues(file, withByte(file.bytes, values + entry * 5 + 4, target))).toBe(
        'NEON_LAYER_CORRUPT',
      );
    }
  });
});

/** Offsets of all bytes but the zeros of padding. */
function usedOffsets(bytes: Uint8Array): readonly number[] {
  return [...bytes.keys()].filter((i) => bytes[i] !== 0 || bytes[i + 1] !== 0 || i % 8192 < 128);
}
