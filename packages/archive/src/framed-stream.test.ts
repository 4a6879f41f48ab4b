import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { type CompressionKind, decompress } from './compression.ts';
import { FrameThreads } from './frame-threads.ts';
import { FramedStream } from './framed-stream.ts';
import { decodeSeekTable, SEEK_TABLE_FOOTER_SIZE, seekTableSize } from './seek-table.ts';

const threads = new FrameThreads({ count: 2 });
afterAll(() => threads[Symbol.asyncDispose]());

const KINDS = ['gzip', 'lz4', 'zstd'] as const;
/** Compresses by half, and is no whole number of pieces. */
const CONTENT = Buffer.concat([randomBytes(1_500_000), Buffer.alloc(1_700_000, 'abc')]);

async function pass(compression: CompressionKind | undefined, content: Buffer, step = 100_003) {
  const stream = new FramedStream({ compression, level: 1, threads });
  const write = async () => {
    for (let start = 0; start < content.length; start += step)
      await stream.write(content.subarray(start, start + step));
    stream.end();
  };
  const parts: Buffer[] = [];
  const read = async () => {
    for await (const chunk of stream.read()) parts.push(Buffer.from(chunk));
  };
  await Promise.all([write(), read()]);
  return Buffer.concat(parts);
}

async function* only(bytes: Uint8Array) {
  yield bytes;
}

describe('a framed stream', () => {
  it('without compression gives the bytes that were written', async () => {
    expect((await pass(undefined, CONTENT)).equals(CONTENT)).toBe(true);
  });

  it.each(KINDS)('of %s decompresses to the bytes that were written', async (kind) => {
    const made = await pass(kind, CONTENT);
    expect(made.length).toBeLessThan(CONTENT.length * 0.7);
    const hash = createHash('sha256');
    for await (const chunk of decompress(only(made), kind)) hash.update(chunk);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(CONTENT).digest('hex'));
  });

  it.each(KINDS)('of %s and no bytes at all decompresses to none', async (kind) => {
    const made = await pass(kind, Buffer.alloc(0));
    if (kind === 'lz4') {
      expect(made.length).toBe(0);
      return;
    }
    if (kind === 'gzip') for await (const _ of decompress(only(made), kind)) expect.unreachable();
  });

  it('of gzip is one member, which gzip itself takes', async () => {
    const made = await pass('gzip', CONTENT);
    expect(execFileSync('gzip', ['-dc'], { input: made, maxBuffer: 1e8 }).equals(CONTENT)).toBe(true);
  });

  it('of zstd ends in a seek table of its frames', async () => {
    const made = await pass('zstd', CONTENT);
    const size = seekTableSize(made.subarray(-SEEK_TABLE_FOOTER_SIZE));
    const table = decodeSeekTable(made.subarray(-(size ?? 0)));
    expect(table?.map(({ decompressedBytes }) => decompressedBytes)).toEqual([
      1048576, 1048576, 1048576, 54272,
    ]);
    const frames = table?.reduce((sum, { compressedBytes }) => sum + compressedBytes, 0) ?? 0;
    expect(frames + (size ?? 0)).toBe(made.length);
  });

  it('lets the writer wait for the reader', async () => {
    const stream = new FramedStream({ threads });
    let written = 0;
    const writing = (async () => {
      for (let count = 0; count < 64; count += 1) {
        await stream.write(new Uint8Array(1024 * 1024));
        written += 1;
      }
      stream.end();
    })();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(written).toBeLessThan(10);
    for await (const _ of stream.read());
    await writing;
    expect(written).toBe(64);
  });

  it('that failed lets no writer wait for a reader that never came', async () => {
    const stream = new FramedStream({ threads });
    const writing = (async () => {
      for (;;) await stream.write(CONTENT);
    })();
    stream.fail(new Error('the store refused'));
    await expect(writing).rejects.toMatchObject({
      code: 'ARCHIVE_ABORTED',
      cause: expect.objectContaining({ message: 'the store refused' }),
    });
  });

  it('gives the reader the error of the writer, and ends the writer whose reader went', async () => {
    const failing = new FramedStream({ threads });
    failing.fail(new Error('no more'));
    await expect(failing.read().next()).rejects.toThrow('no more');
    const left = new FramedStream({ threads });
    const writing = (async () => {
      for (;;) await left.write(new Uint8Array(1024 * 1024));
    })();
    for await (const _ of left.read()) break;
    await expect(writing).rejects.toMatchObject({ code: 'ARCHIVE_ABORTED' });
  });
});
