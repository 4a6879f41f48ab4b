import type { ClientWire } from '../client/client-wire.ts';

/** An iterable over a generator that a `break` does not finish, so that the rest can be read over. */
export function once(generator: AsyncGenerator<Uint8Array, void, void>): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: () => generator.next() }) };
}

/** The same bytes, each chunk good only until the next one is asked for, so that received memory need not be left to the garbage collector. */
export async function* inPassing(
  { channel: { parser } }: ClientWire,
  data: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  parser.keepsBodies = false;
  try {
    yield* data;
  } finally {
    parser.keepsBodies = true;
  }
}
