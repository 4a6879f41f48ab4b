import { execFileSync, spawnSync } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { isArchiveError } from './archive-error.ts';
import { type CompressionKind, compress, decompress, decompressionOf } from './compression.ts';
import { readTar } from './read-tar.ts';
import { collect, inChunks } from './testing/streams.ts';
import { xxh32 } from './xxh32.ts';

const KINDS: readonly CompressionKind[] = ['gzip', 'lz4', 'zstd'];
const SAMPLES: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(0),
  'one byte': Uint8Array.of(1),
  zeros: new Uint8Array(3_000_000),
  text: new TextEncoder().encode('a page of a relation, and another one; '.repeat(60_000)),
  noise: noise(2_500_000),
  'noise and zeros': new Uint8Array(
    Buffer.concat([noise(70_000), new Uint8Array(70_000), noise(70_000), noise(70_000)]),
  ),
};
const CASES = KINDS.flatMap((kind) =>
  Object.entries(SAMPLES).map(([name, bytes]) => ({ kind, name, bytes })),
);

test.each(CASES)('$name comes back from $kind', async ({ kind, bytes }) => {
  const packed = await collect(compress(inChunks(bytes, 100_000), kind));
  for (const size of [1_000, packed.length])
    expect(Buffer.compare(await collect(decompress(inChunks(packed, size), kind)), bytes)).toBe(0);
});

test.each(KINDS)('several frames of %s in one chunk are all read', async (kind) => {
  const one = await collect(compress(inChunks(Buffer.from('first'), 9), kind));
  const two = await collect(compress(inChunks(Buffer.from('second'), 9), kind));
  const packed = Buffer.concat([one, two, one]);
  for (const size of [1, packed.length])
    expect(Buffer.from(await collect(decompress(inChunks(packed, size), kind))).toString()).toBe(
      'firstsecondfirst',
    );
});

test.each(KINDS)('%s cut anywhere is truncated, and never read as whole', async (kind) => {
  const packed = await collect(compress(inChunks(Buffer.from('some text, some text, some text'), 9), kind));
  for (let length = 0; length < packed.length; length += 1)
    await expect(
      collect(decompress(inChunks(packed.subarray(0, length), 64), kind)),
      `${length} bytes`,
    ).rejects.toMatchObject({
      code: 'ARCHIVE_TRUNCATED',
    });
});

test.each(KINDS)('a flipped bit in %s never gives other contents', async (kind) => {
  const text = 'some text, some text, some other text';
  const packed = await collect(compress(inChunks(Buffer.from(text), 64), kind));
  for (let bit = 0; bit < packed.length * 8; bit += 1) {
    const damaged = packed.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const result = await collect(decompress(inChunks(damaged, 4096), kind)).catch((error: unknown) => error);
    if (result instanceof Uint8Array) expect(Buffer.from(result).toString(), `bit ${bit}`).toBe(text);
    else expect(isArchiveError(result), `bit ${bit}: ${result}`).toBe(true);
  }
});

test('data behind the last frame is refused, skippable frames are passed over', async () => {
  const packed = zstdCompressSync(Buffer.from('kept'));
  const skippable = Uint8Array.of(0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9);
  const mixed = Buffer.concat([skippable, packed, skippable, packed]);
  expect(Buffer.from(await collect(decompress(inChunks(mixed, 5), 'zstd'))).toString()).toBe('keptkept');
  for (const [kind, bytes] of [
    ['zstd', packed],
    ['gzip', gzipSync('kept')],
  ] as const)
    await expect(
      collect(decompress(inChunks(Buffer.concat([bytes, Buffer.from('more')]), 999), kind)),
    ).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
});

test('an error of the stream comes through as it is', async () => {
  const failure = new Error('the network is gone');
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield zstdCompressSync(Buffer.alloc(100)).subarray(0, 8);
    throw failure;
  };
  for (const kind of ['zstd', 'gzip'] as const)
    await expect(
      collect(kind === 'zstd' ? decompress(failing(), kind) : compress(failing(), kind)),
    ).rejects.toBe(failure);
});

test('an abort interrupts', async () => {
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    // Only real waiting lets a timer fire.
    for (;;) yield await setImmediate(noise(65_536));
  };
  for (const kind of KINDS)
    await expect(
      collect(compress(endless(), kind, { signal: AbortSignal.timeout(50) })),
    ).rejects.toMatchObject({ code: 'ARCHIVE_ABORTED' });
});

test('the kind is told from the extension', () => {
  expect(
    ['base.tar.gz', 'a.TGZ', 'part_1.tar.lz4', 'initdb.tar.zst', 'base.tar', 'lz4', 'x.constructor'].map(
      decompressionOf,
    ),
  ).toEqual(['gzip', 'gzip', 'lz4', 'zstd', undefined, undefined, undefined]);
});

test('XXH32 gives the values of its specification', () => {
  expect(xxh32(new Uint8Array(0))).toBe(0x02cc5d05);
  expect(xxh32(Buffer.from('a'))).toBe(0x550d7456);
  expect(xxh32(Buffer.from('abc'))).toBe(0x32d153ff);
  expect(xxh32(Buffer.from('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f);
});

const LZ4_TOOL: string = 'lz4';
const hasLz4 = spawnSync(LZ4_TOOL, ['--version']).status === 0 || process.env.CI === 'true';
test.runIf(hasLz4)(
  `the lz4 tool and we read each other${hasLz4 ? '' : ' (skipped: no lz4 on the PATH)'}`,
  async () => {
    for (const bytes of Object.values(SAMPLES)) {
      const ours = await collect(compress(inChunks(bytes, 65_536), 'lz4'));
      expect(
        Buffer.compare(execFileSync(LZ4_TOOL, ['-q', '-dc'], { input: ours, maxBuffer: 2 ** 24 }), bytes),
      ).toBe(0);
      for (const flags of [
        ['-BD'],
        ['-BD', '-B4', '-BX'],
        ['-B5', '--no-frame-crc'],
        ['-9', '-BD', '--content-size'],
      ]) {
        const theirs = execFileSync(LZ4_TOOL, ['-q', '-c', ...flags], { input: bytes, maxBuffer: 2 ** 24 });
        expect(
          Buffer.compare(await collect(decompress(inChunks(theirs, 100_000), 'lz4')), bytes),
          flags.join(' '),
        ).toBe(0);
      }
    }
  },
);

const WALG_PART = new URL(
  '../../../../shared/data/walg/full-lz4/repo/basebackups_005/base_000000010000000000000002/tar_partitions/part_001.tar.lz4',
  import.meta.url,
);
const hasSample = existsSync(WALG_PART) || process.env.CI === 'true';
test.runIf(hasSample)(
  `a tar.lz4 of the real WAL-G is read${hasSample ? '' : ' (skipped: ../shared/data is not here)'}`,
  async () => {
    let sizeBytes = 0;
    for await (const entry of readTar(decompress(createReadStream(WALG_PART), 'lz4'), {
      leadingSlash: 'strip',
    }))
      for await (const chunk of entry.body) sizeBytes += chunk.length;
    expect(sizeBytes).toBeGreaterThan(1_000_000);
  },
);

/** The same on every run. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 0x2545f491;
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}
