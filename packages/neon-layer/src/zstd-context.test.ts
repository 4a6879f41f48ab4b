import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openCompressContext, openPageCompressContext, type ZstdContext } from './zstd-context.ts';

function frameOf(context: ZstdContext, input: Uint8Array): Buffer {
  const output = Buffer.alloc(8400);
  const call = { input, inputOffset: 0, inputLength: input.length, output, outputOffset: 0 };
  return output.subarray(0, context.run({ ...call, outputLength: output.length }));
}

it('a page gets the same frame by one call as by a stream, whatever is in it and came before', () => {
  const [stream, page] = [openCompressContext(1), openPageCompressContext()];
  if (stream === undefined || page === undefined) throw new Error('this Node has no context to use again');
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(4000))
      .map(([part, size]) => Buffer.alloc(size, part)),
  );
  const pages = fc.array(piece, { maxLength: 40 }).map((pieces) => {
    const bytes = new Uint8Array(8192);
    let end = 0;
    for (const each of pieces) {
      bytes.set(each.subarray(0, bytes.length - end), end);
      end = Math.min(bytes.length, end + each.length);
    }
    return bytes;
  });
  fc.assert(
    fc.property(pages, (bytes) => {
      expect(Buffer.compare(frameOf(page, bytes), frameOf(stream, bytes))).toBe(0);
    }),
    { numRuns: 500 },
  );
  stream.close();
  page.close();
});
