import { lsn } from '@neon-snapshot/postgres';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache } from './block-cache.ts';
import { bytesToHex } from './bytes.ts';
import { DeltaLayerBuilder } from './delta-layer-builder.ts';
import { ImageLayerBuilder } from './image-layer-builder.ts';
import { compareKeys, KEY_MAX, KEY_MIN, keyToHex, nextKey } from './key.ts';
import type { KeyRange } from './key-range.ts';
import type { BuiltLayer } from './layer-assembly.ts';
import { LayerFile } from './layer-file.ts';
import { createPageCompressor } from './page-compressor.ts';
import { createPageDecompressor } from './page-decompressor.ts';

const IDENTITY = {
  tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
  timelineId: '641e5342083b2235ee3deb8066819683',
};
const compressor = createPageCompressor();
const decompressor = createPageDecompressor();

/** Keys that share long prefixes and keys that share none. */
const key = fc
  .tuple(fc.constantFrom(0x00, 0x01, 0x62), fc.nat(2), fc.nat(3), fc.nat(0xffff_ffff))
  .map(([kind, spc, rel, block]) => {
    const bytes = new Uint8Array(18);
    const view = new DataView(bytes.buffer);
    bytes[0] = kind;
    view.setUint32(1, spc);
    view.setUint32(9, rel);
    view.setUint32(14, rel === 3 ? block % 5000 : block);
    return bytes;
  });
const sortedKeys = fc
  .uniqueArray(key, { selector: keyToHex, minLength: 1, maxLength: 3000, size: 'max' })
  .map((keys) => keys.sort(compareKeys));

async function openBuilt(layer: BuiltLayer): Promise<LayerFile> {
  const storage = createMemoryStorage();
  await storage.put('layer', Uint8Array.from(Buffer.concat(layer.chunks)));
  const cache = new BlockCache({ sizeMaxBytes: 3 * 9000 });
  const file = await LayerFile.open(storage, 'layer', {
    desc: layer.desc,
    sizeBytes: layer.sizeBytes,
    tenantId: IDENTITY.tenantId,
    cache,
  });
  expect(cache.sizeBytes).toBeLessThanOrEqual(3 * 9000);
  return file;
}

const valueFor = (entryKey: Uint8Array): Uint8Array =>
  Uint8Array.from(entryKey).fill(entryKey[17] ?? 0, 0, 8);

describe('an image layer', () => {
  it('gives back its entries, all and of any range, with their values', async () => {
    await fc.assert(
      fc.asyncProperty(sortedKeys, fc.nat(), fc.nat(), async (keys, a, b) => {
        const builder = new ImageLayerBuilder({ ...IDENTITY, lsn: lsn(8n), keyStart: KEY_MIN });
        for (const entryKey of keys) builder.appendBlob(entryKey, compressor.encodeBlob(valueFor(entryKey)));
        const file = await openBuilt(builder.finish(KEY_MAX));
        const [low = 0, high = 0] = [a % keys.length, b % keys.length].sort((x, y) => x - y);
        const ranges: readonly [KeyRange, readonly Uint8Array[]][] = [
          [{ start: KEY_MIN, end: KEY_MAX }, keys],
          [{ start: keys[low] ?? KEY_MIN, end: keys[high] ?? KEY_MAX }, keys.slice(low, high)],
          [{ start: nextKey(keys[low] ?? KEY_MIN), end: KEY_MAX }, keys.slice(low + 1)],
        ];
        for (const [range, wanted] of ranges) {
          const found: string[] = [];
          for await (const { entry, blob } of file.readBlobs(file.entries(range))) {
            found.push(keyToHex(entry.key));
            expect(decompressor.decodeBlob(blob)).toEqual(valueFor(entry.key));
          }
          expect(found).toEqual(wanted.map(keyToHex));
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('a delta layer', () => {
  it('gives back all versions of its keys with LSN and will_init', async () => {
    const versions = fc.uniqueArray(fc.bigInt(100n, 2000n), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sortedKeys, fc.array(versions, { minLength: 1 }), async (keys, lsns) => {
        const builder = new DeltaLayerBuilder({ ...IDENTITY, keyStart: KEY_MIN, lsnStart: lsn(100n) });
        const written: string[] = [];
        for (const [i, entryKey] of keys.entries()) {
          for (const at of (lsns[i % lsns.length] ?? []).toSorted((x, y) => Number(x - y))) {
            const willInit = at % 2n === 0n;
            builder.append({ key: entryKey, lsn: lsn(at), value: valueFor(entryKey), willInit });
            written.push(`${keyToHex(entryKey)} ${at} ${willInit} ${bytesToHex(valueFor(entryKey))}`);
          }
        }
        const file = await openBuilt(builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(2001n) }));
        const found: string[] = [];
        for await (const { entry, blob } of file.readBlobs(file.entries())) {
          const value = bytesToHex(decompressor.decodeBlob(blob));
          found.push(`${keyToHex(entry.key)} ${entry.lsn} ${entry.willInit} ${value}`);
        }
        expect(found).toEqual(written);
      }),
      { numRuns: 15 },
    );
  });
});
