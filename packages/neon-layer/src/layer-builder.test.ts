import { createHash } from 'node:crypto';
import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { encodePlainBlob } from './blob.ts';
import { bytesToHex, hexToBytes } from './bytes.ts';
import { DeltaLayerBuilder } from './delta-layer-builder.ts';
import { ImageLayerBuilder } from './image-layer-builder.ts';
import { DBDIR_KEY, KEY_MAX, KEY_MIN, keyFromHex, relBlockKey, relDirKey, relSizeKey } from './key.ts';

/* Files and their sums follow from the format's description; readers of the real page server accept such files. */

const IDENTITY = {
  tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
  timelineId: '641e5342083b2235ee3deb8066819683',
};
const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;
const REFUSAL = expect.objectContaining({ code: 'NEON_LAYER_INVALID_ARGUMENT' });

const bytes = (hex: string) => hexToBytes(hex.replaceAll(' ', '')) ?? new Uint8Array();
const sha256 = (chunks: readonly Uint8Array[]) =>
  createHash('sha256').update(Buffer.concat(chunks)).digest('hex');

function imageBuilder() {
  return new ImageLayerBuilder({ ...IDENTITY, lsn: lsn(0x14aec08n), keyStart: KEY_MIN });
}

describe('ImageLayerBuilder', () => {
  it('writes the example file', () => {
    const builder = imageBuilder();
    builder.appendBlob(DBDIR_KEY, encodePlainBlob(bytes('0000000000000001 0000067F 00000005 01')));
    builder.appendBlob(relDirKey(1663, 5), encodePlainBlob(bytes('0000000000000001 00000A8C 00')));
    const page = encodePlainBlob(new Uint8Array(8192).fill(0xab));
    expect(bytesToHex(page.subarray(0, 5))).toBe('80002000ab');
    builder.appendRun({
      keyPrefix: relBlockKey(TAG, 0),
      blockNumbers: 0,
      blobs: page,
      lengths: Uint32Array.of(page.length),
    });
    builder.appendBlob(relSizeKey(TAG), encodePlainBlob(bytes('01000000')));
    const layer = builder.finish(KEY_MAX);
    expect(layer.name).toBe(`${'0'.repeat(36)}-${'F'.repeat(36)}__00000000014AEC08`);
    expect([layer.sizeBytes, layer.entryCount]).toEqual([32768, 4]);
    expect(sha256(layer.chunks)).toBe('97b2121fa45ff37e069aa40b56e6b93b919d43e6ba7e001e01c6f620b46f0af9');
  });

  it('takes runs with listed block numbers as it takes blobs one by one', () => {
    const blobs = [1, 2, 3].map((value) => encodePlainBlob(new Uint8Array(200 + value).fill(value)));
    const numbers = [4, 5, 70_000];
    const single = imageBuilder();
    const run = imageBuilder();
    for (const [i, blob] of blobs.entries()) single.appendBlob(relBlockKey(TAG, numbers[i] ?? 0), blob);
    run.appendRun({
      keyPrefix: relBlockKey(TAG, 0).subarray(0, 14),
      blockNumbers: Uint32Array.from(numbers),
      blobs: Buffer.concat(blobs),
      lengths: Uint32Array.from(blobs, (blob) => blob.length),
    });
    expect(run.storedBytes).toBe(single.storedBytes);
    expect(sha256(run.finish(KEY_MAX).chunks)).toBe(sha256(single.finish(KEY_MAX).chunks));
  });

  it('refuses keys outside of its range, lengths that do not add up, and an empty layer', () => {
    const start = relBlockKey(TAG, 10);
    const builder = new ImageLayerBuilder({ ...IDENTITY, lsn: lsn(8n), keyStart: start });
    const run = { keyPrefix: start, blobs: new Uint8Array(4), lengths: Uint32Array.of(4) };
    expect(() => builder.finish(KEY_MAX)).toThrow(REFUSAL);
    expect(() => builder.appendRun({ ...run, blockNumbers: 9 })).toThrow(REFUSAL);
    expect(() => builder.appendRun({ ...run, blockNumbers: 10, lengths: Uint32Array.of(3) })).toThrow(
      REFUSAL,
    );
    expect(() => builder.appendRun({ ...run, blockNumbers: Uint32Array.of(11, 12) })).toThrow(REFUSAL);
    builder.appendRun({ ...run, blockNumbers: 12 });
    expect(() => builder.finish(relBlockKey(TAG, 12))).toThrow(REFUSAL);
  });
});

describe('DeltaLayerBuilder', () => {
  const options = { ...IDENTITY, keyStart: KEY_MIN, lsnStart: lsn(0x14aeb90n) };
  const image = bytes('00000000 0000000000000004 01000000');

  it('writes the example file', () => {
    const builder = new DeltaLayerBuilder(options);
    builder.append({ key: relSizeKey(TAG), lsn: lsn(0x14aeb90n), value: image, willInit: true });
    builder.append({
      key: keyFromHex('010000000000000001000000000000000000'),
      lsn: lsn(0x14aec80n),
      value: bytes('00000001 00000002 0000000000000002 000002D5 000002D6 0002A1B2C3D4E5F6'),
      willInit: false,
    });
    const layer = builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(0x14aec81n) });
    expect(layer.name).toBe(`${'0'.repeat(36)}-${'F'.repeat(36)}__00000000014AEB90-00000000014AEC81`);
    expect(layer.sizeBytes).toBe(24576);
    expect(sha256(layer.chunks)).toBe('48956998e92dba4a68bdc36a8a05e97b24b3a0d457867bbc254bf5ac9b64e8b4');
  });

  it('takes values as another layer stores them', () => {
    const made = new DeltaLayerBuilder(options);
    const copied = new DeltaLayerBuilder(options);
    for (let i = 0; i < 100; i += 1) {
      // Some are larger than the buffers that small ones share.
      const value = new Uint8Array(i % 10 === 9 ? 300_000 : i * 50).fill(i);
      const entry = { key: relBlockKey(TAG, i), lsn: lsn(0x14aeb90n), willInit: true };
      made.append({ ...entry, value });
      copied.appendStored({ ...entry, value: encodePlainBlob(value) });
    }
    expect(copied.storedBytes).toBe(made.storedBytes);
    const end = { keyEnd: KEY_MAX, lsnEnd: lsn(0x14aec81n) };
    expect(sha256(copied.finish(end).chunks)).toBe(sha256(made.finish(end).chunks));
  });

  it('refuses entries outside of its ranges', () => {
    const builder = new DeltaLayerBuilder(options);
    const entry = { key: relSizeKey(TAG), lsn: lsn(0x14aeb90n), value: image, willInit: true };
    expect(() => builder.append({ ...entry, lsn: lsn(8n) })).toThrow(REFUSAL);
    builder.append(entry);
    expect(() => builder.append(entry)).toThrow(REFUSAL);
    expect(() => builder.finish({ keyEnd: relSizeKey(TAG), lsnEnd: lsn(0x14aec81n) })).toThrow(REFUSAL);
    expect(() => builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(0x14aeb90n) })).toThrow(REFUSAL);
  });
});
