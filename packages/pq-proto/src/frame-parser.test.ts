import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Frame, FrameParser } from './frame-parser.ts';
import { isPqError } from './pq-error.ts';

function encode(frames: readonly { readonly type: number; readonly body: Uint8Array }[]): Buffer {
  return Buffer.concat(
    frames.map(({ type, body }) => {
      const header = Buffer.alloc(5);
      header.writeUInt8(type);
      header.writeUInt32BE(body.length + 4, 1);
      return Buffer.concat([header, body]);
    }),
  );
}

function drain(parser: FrameParser): Frame[] {
  const frames: Frame[] = [];
  for (let frame = parser.next(); frame; frame = parser.next()) frames.push(frame);
  return frames;
}

const frameArbitrary = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  body: fc.uint8Array({ maxLength: 40 }),
});

test('frames are the same however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(frameArbitrary), fc.array(fc.integer({ min: 1, max: 20 })), (frames, cuts) => {
      const bytes = encode(frames);
      const parser = new FrameParser({ messageBytesMax: 100, typed: true });
      const parsed: Frame[] = [];
      let offset = 0;
      for (let index = 0; offset < bytes.length; index++) {
        const end = offset + (cuts[index % Math.max(cuts.length, 1)] ?? 7);
        parser.push(bytes.subarray(offset, end));
        parsed.push(...drain(parser));
        offset = end;
      }
      expect(parsed.map(({ type, body }) => ({ type, body: new Uint8Array(body) }))).toEqual(frames);
      expect(parser.insideMessage).toBe(false);
    }),
  );
});

test('bodies that are not kept are whole until the next frame is asked for, and received memory is freed then', () => {
  const frames = [3000, 10, 5000, 0, 4000].map((size, type) => ({
    type,
    body: Buffer.alloc(size, type + 1),
  }));
  const bytes = encode(frames);
  const parser = new FrameParser({ messageBytesMax: 10_000, typed: true });
  parser.keepsBodies = false;
  const chunks: Buffer[] = [];
  let count = 0;
  for (let offset = 0; offset < bytes.length; offset += 1000) {
    // Not from Buffer's pool, as what a socket gives.
    const chunk = Buffer.allocUnsafeSlow(Math.min(1000, bytes.length - offset));
    bytes.copy(chunk, 0, offset);
    chunks.push(chunk);
    parser.push(chunk);
    for (let frame = parser.next(); frame; frame = parser.next()) {
      expect(frame.body.equals(frames[count]?.body ?? bytes)).toBe(true);
      count += 1;
    }
  }
  expect(count).toBe(frames.length);
  expect(chunks.slice(0, -1).map(({ length }) => length)).toEqual(Array(chunks.length - 1).fill(0));
});

test('a stream that ends at any byte gives the whole frames before it and knows that it is inside a message', () => {
  const bytes = encode([
    { type: 81, body: Buffer.from('select 1\0') },
    { type: 83, body: Buffer.alloc(0) },
    { type: 100, body: Buffer.alloc(300, 1) },
  ]);
  const ends = [14, 19, bytes.length];
  for (let length = 0; length <= bytes.length; length++) {
    const parser = new FrameParser({ messageBytesMax: 1000, typed: true });
    parser.push(bytes.subarray(0, length));
    expect(drain(parser).length).toBe(ends.filter((end) => end <= length).length);
    expect(parser.insideMessage).toBe(length !== 0 && !ends.includes(length));
  }
});

test('a message within a chunk is a view of it, and one over several is a copy', () => {
  const bytes = encode([
    { type: 100, body: Buffer.alloc(8, 1) },
    { type: 100, body: Buffer.alloc(8, 2) },
  ]);
  const parser = new FrameParser({ messageBytesMax: 1000, typed: true });
  parser.push(bytes.subarray(0, 20));
  const [first] = drain(parser);
  parser.push(bytes.subarray(20));
  const [second] = drain(parser);
  bytes.fill(9);
  expect(first?.body).toEqual(Buffer.alloc(8, 9));
  expect(second?.body).toEqual(Buffer.alloc(8, 2));
});

test('a message longer than the limit is refused by its header, for good', () => {
  const parser = new FrameParser({ messageBytesMax: 100, typed: true });
  parser.push(Buffer.from([100, 0x7f, 0xff, 0xff, 0xff]));
  for (let attempt = 0; attempt < 2; attempt++)
    expect(() => parser.next()).toThrow(
      expect.objectContaining({
        code: 'PQ_TOO_LARGE',
        context: { type: 100, length: 0x7ffffffb, maximum: 100 },
      }),
    );
});

test('a length that does not count itself is a broken protocol', () => {
  const parser = new FrameParser({ messageBytesMax: 100, typed: true });
  parser.push(Buffer.from([100, 0, 0, 0, 3]));
  expect(() => parser.next()).toThrow(expect.objectContaining({ code: 'PQ_PROTOCOL' }));
});

test('any bytes give frames or a typed error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, typed) => {
      const parser = new FrameParser({ messageBytesMax: 50, typed });
      parser.push(Buffer.from(bytes));
      try {
        for (const frame of drain(parser)) expect(frame.body.length).toBeLessThanOrEqual(50);
      } catch (error) {
        if (!isPqError(error)) throw error;
      }
    }),
  );
});
