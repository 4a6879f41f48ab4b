import type { ClientWire } from '../client/client-wire.ts';
import type { Frame } from '../frame-parser.ts';
import { COPY } from '../message-types.ts';

/** An iterable over a generator that a `break` does not finish, so that the rest can be read over. */
export function once(generator: AsyncGenerator<Uint8Array, void, void>): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: () => generator.next() }) };
}

/** A server sends 32 KiB at a time, and each chunk costs a turn of every stage behind. */
const GATHERED_SIZE_BYTES = 512 * 1024;

export interface ArchiveData {
  readonly wire: ClientWire;
  readonly operation: string;
  /** The bytes of the archive in a message; undefined for the message that ends it. */
  payloadOf(frame: Frame): Uint8Array | undefined;
}

/** The bytes of an archive in large chunks, all in the same memory: each is good until the next one is asked for. */
export async function* archiveData(source: ArchiveData): AsyncGenerator<Uint8Array, void, void> {
  const { wire } = source;
  const { parser } = wire.channel;
  const memory = new Uint8Array(GATHERED_SIZE_BYTES);
  let used = 0;
  parser.keepsBodies = false;
  try {
    for (;;) {
      const arrived = wire.channel.tryRead();
      const frame = arrived?.type === COPY.Data ? arrived : await next(source, arrived);
      const payload = source.payloadOf(frame);
      if (payload === undefined) break;
      for (let start = 0; start < payload.length; ) {
        const part = payload.subarray(start, start + memory.length - used);
        memory.set(part, used);
        used += part.length;
        start += part.length;
        if (used < memory.length) continue;
        yield memory;
        used = 0;
      }
    }
    if (used > 0) yield memory.subarray(0, used);
  } finally {
    parser.keepsBodies = true;
  }
}

async function next({ wire, operation }: ArchiveData, arrived: Frame | undefined): Promise<Frame> {
  return arrived === undefined ? wire.read(operation) : wire.passing(arrived, operation);
}
