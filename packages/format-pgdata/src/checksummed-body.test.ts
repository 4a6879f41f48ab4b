import { crc32c } from '@neon-snapshot/postgres';
import { expect, test } from 'vitest';
import { ChecksummedBody } from './checksummed-body.ts';

const CHUNKS = [Buffer.from('first'), Buffer.from('second'), Buffer.from('third')];

async function take(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of body) text += Buffer.from(chunk).toString('latin1');
  return text;
}

test('takes the checksum of what passes, or the one that the source took', async () => {
  const body = async function* () {
    yield* CHUNKS;
  };
  const own = new ChecksummedBody({ body: body() });
  expect(await take(own)).toBe('firstsecondthird');
  expect(own.crc).toBe(crc32c(Buffer.concat(CHUNKS)));
  const given = new ChecksummedBody({ body: body(), crc32c: () => 7 });
  expect(await take(given)).toBe('firstsecondthird');
  expect(given.crc).toBe(7);
});

test('asks for one chunk more while one is written, and for no further one', async () => {
  const asked: number[] = [];
  const body = async function* () {
    for (const [index, chunk] of CHUNKS.entries()) {
      asked.push(index);
      yield chunk;
    }
  };
  for await (const _ of new ChecksummedBody({ body: body() })) {
    await new Promise((resolve) => setImmediate(resolve));
    break;
  }
  expect(asked).toEqual([0, 1]);
});

test('a failure comes behind the chunks before it, and a source that is left is closed', async () => {
  let closed = 0;
  const body = async function* () {
    try {
      yield Buffer.from('first');
      throw new Error('gone');
    } finally {
      closed += 1;
    }
  };
  const seen: number[] = [];
  const all = async () => {
    for await (const { length } of new ChecksummedBody({ body: body() })) seen.push(length);
  };
  await expect(all()).rejects.toThrow('gone');
  expect(seen).toEqual([5]);
  for await (const _ of new ChecksummedBody({ body: body() })) break;
  expect(closed).toBe(2);
});
