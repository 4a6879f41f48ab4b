import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePlainBlob, writeBlobHeader } from './blob.ts';
import { bytesToHex } from './bytes.ts';
import { createPageCompressor, PAGE_BLOB_SIZE_MAX } from './page-compressor.ts';
import { createPageDecompressor } from './page-decompressor.ts';
import { FRAME_WINDOW_BYTES_MAX } from './zstd-frame.ts';

const WAYS = [{ forceOneShot: false }, { forceOneShot: true }] as const;
const PAGE = Buffer.alloc(8192, 'hello world ');

/** Bytes that zstd cannot make smaller. */
function noise(size: number): Uint8Array {
  let state = 1;
  return new Uint8Array(size).map(() => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24);
}

function zstdBlob(frame: Uint8Array): Uint8Array {
  const blob = new Uint8Array(4 + frame.length);
  writeBlobHeader(blob, 0, { payloadSize: frame.length, compressed: true });
  blob.set(frame, 4);
  return blob;
}

describe('createPageCompressor', () => {
  it('reuses a context on the Node that the tests run on', () => {
    const compressor = createPageCompressor();
    const decompressor = createPageDecompressor();
    expect([compressor.implementation, decompressor.implementation]).toEqual([
      'reused-context',
      'reused-context',
    ]);
    compressor.close();
    decompressor.close();
  });

  it("gives libzstd's streaming frame of level 1 without content size, whatever came before", () => {
    const compressor = createPageCompressor();
    compressor.encodeBlob(noise(300_000));
    expect(bytesToHex(compressor.encodeBlob(PAGE))).toBe(
      '9000001d28b52ffd0048a500006068656c6c6f20776f726c64200100f1ffbe2401',
    );
  });

  it('keeps short values and what does not get smaller plain', () => {
    const compressor = createPageCompressor();
    expect(bytesToHex(compressor.encodeBlob(new Uint8Array(0)))).toBe('00');
    expect(bytesToHex(compressor.encodeBlob(new Uint8Array(127))).slice(0, 4)).toBe('7f00');
    expect(compressor.encodeBlob(new Uint8Array(128))[0]).toBe(0x90);
    expect(compressor.encodeBlob(noise(8192))).toEqual(encodePlainBlob(noise(8192)));
  });
});

describe.each(WAYS)('a value compressed and decompressed with %o', (options) => {
  const compressor = createPageCompressor(options);
  const decompressor = createPageDecompressor(options);

  it('comes back, also through the other way', () => {
    const other = createPageDecompressor({ forceOneShot: !options.forceOneShot });
    const values = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(400_000)).map(([part, size]) => {
        return Uint8Array.from(Buffer.alloc(size, part));
      }),
      fc.nat(40_000).map(noise),
    );
    fc.assert(
      fc.property(values, (value) => {
        const blob = compressor.encodeBlob(value);
        expect(Buffer.compare(decompressor.decodeBlob(blob), value)).toBe(0);
        expect(Buffer.compare(other.decodeBlob(blob), value)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('may be pages in runs', () => {
    const pages = Buffer.concat([PAGE, noise(8192), new Uint8Array(8192), PAGE]);
    const out = new Uint8Array(4 * PAGE_BLOB_SIZE_MAX + 3);
    const lengths = new Uint32Array(4);
    const size = compressor.encodePages({ pages, pageCount: 4, out, outOffset: 3, lengths });
    expect(size).toBe(lengths.reduce((sum, length) => sum + length));
    expect(lengths[1]).toBe(8196);
    const back = new Uint8Array(4 * 8192);
    decompressor.decodePages({ blobs: out.subarray(3, 3 + size), lengths, pageCount: 4, out: back });
    expect(Buffer.compare(back, pages)).toBe(0);
  });

  it('is refused when its frame is damaged, cut off or too long, and the next one is right again', () => {
    const blob = compressor.encodeBlob(Uint8Array.from(Buffer.concat([PAGE, noise(700)])));
    for (let length = 0; length < blob.length; length += 1) {
      expect(() => decompressor.decodeBlob(blob.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'NEON_LAYER_CORRUPT' }),
      );
    }
    for (let i = 0; i < blob.length; i += 1) {
      const damaged = Uint8Array.from(blob);
      damaged[i] = (damaged[i] ?? 0) ^ (1 << (i % 8));
      const value = decodeOrCode(() => decompressor.decodeBlob(damaged, { sizeMaxBytes: 1 << 20 }));
      expect(typeof value === 'number' || /^NEON_LAYER_(CORRUPT|TOO_LARGE)$/.test(value)).toBe(true);
      expect(Buffer.compare(decompressor.decodeBlob(compressor.encodeBlob(PAGE)), PAGE)).toBe(0);
    }
  });

  it('is refused as a page when it has another size', () => {
    const out = new Uint8Array(2 * 8192);
    for (const size of [0, 127, 8191, 8193, 8200, 300_000]) {
      const blob = compressor.encodeBlob(new Uint8Array(size));
      const blobs = Buffer.concat([compressor.encodeBlob(PAGE), blob]);
      const lengths = Uint32Array.of(blobs.length - blob.length, blob.length);
      expect(() => decompressor.decodePages({ blobs, lengths, pageCount: 2, out })).toThrow(
        expect.objectContaining({ code: 'NEON_LAYER_CORRUPT', context: { pageIndex: 1 } }),
      );
    }
  });

  it('is refused before memory is taken when it passes the limit', () => {
    const bomb = zstdBlob(zstdCompressSync(new Uint8Array(50_000_000)));
    const tooLarge = expect.objectContaining({ code: 'NEON_LAYER_TOO_LARGE' });
    expect(() => decompressor.decodeBlob(bomb, { sizeMaxBytes: 8200 })).toThrow(tooLarge);
    const streamed = compressor.encodeBlob(new Uint8Array(1_000_000));
    expect(() => decompressor.decodeBlob(streamed, { sizeMaxBytes: 8200 })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/CORRUPT|TOO_LARGE/) }),
    );
    expect(FRAME_WINDOW_BYTES_MAX).toBe(8_388_608);
    const window = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00]);
    expect(() => decompressor.decodeBlob(zstdBlob(window))).toThrow(tooLarge);
  });

  it('may have a content size, a checksum or nothing in it', () => {
    const frames = [zstdCompressSync(PAGE), zstdCompressSync(PAGE, { params: { 201: 1 } })];
    for (const frame of frames)
      expect(Buffer.compare(decompressor.decodeBlob(zstdBlob(frame)), PAGE)).toBe(0);
    expect(decompressor.decodeBlob(zstdBlob(zstdCompressSync(new Uint8Array(0)))).length).toBe(0);
  });
});

function decodeOrCode(decode: () => Uint8Array): number | string {
  try {
    return decode().length;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'no typed error';
  }
}
