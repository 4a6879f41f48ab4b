import { closeSync } from 'node:fs';
import { StorageError, throwIfAborted } from '@neon-snapshot/storage-core';
import { translated } from './errors.ts';
import { read } from './fs-calls.ts';

/** A multiple of Postgres' block; larger reads measured no faster. */
export const READ_CHUNK_BYTES = 1024 * 1024;

/** An open file with the range of it that is to be read. */
export interface OpenedRange {
  readonly descriptor: number;
  readonly path: string;
  readonly key: string;
  readonly offset: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The body of an open file; takes over the descriptor. A range of one chunk is read here and now, in a single call, and
 * the file closed. A longer one is read a chunk ahead of the reader and closed at its end or early return.
 */
export async function readBody(opened: OpenedRange): Promise<AsyncIterable<Uint8Array>> {
  const { offset, end, descriptor } = opened;
  if (end - offset > READ_CHUNK_BYTES) return new LongBody(opened);
  try {
    const chunk = end === offset ? undefined : await readExactly(opened, offset, end - offset);
    return (async function* () {
      if (chunk !== undefined) yield chunk;
    })();
  } finally {
    closeSync(descriptor);
  }
}

class LongBody implements AsyncIterable<Uint8Array> {
  readonly #opened: OpenedRange;
  #open = true;

  constructor(opened: OpenedRange) {
    this.#opened = opened;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const chunks = this.#chunks();
    return {
      next: () => chunks.next(),
      // A generator that was never started runs no finally block, so the file is closed here too.
      return: async () => {
        await chunks.return();
        this.#close();
        return { done: true, value: undefined };
      },
    };
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const { key, offset, end, signal } = this.#opened;
    let ahead: Promise<Uint8Array> | undefined;
    try {
      for (let position = offset; position < end; ) {
        throwIfAborted(signal, { operation: 'get', key });
        const chunk = await (ahead ?? this.#readAt(position));
        position += chunk.byteLength;
        ahead = position < end ? this.#readAt(position) : undefined;
        // Its failure is met where it is awaited; until then it must not count as unhandled.
        ahead?.catch(() => undefined);
        yield chunk;
      }
    } finally {
      await ahead?.catch(() => undefined);
      this.#close();
    }
  }

  #readAt(position: number): Promise<Uint8Array> {
    const length = Math.min(READ_CHUNK_BYTES, this.#opened.end - position);
    return readExactly(this.#opened, position, length);
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#opened.descriptor);
  }
}

async function readExactly(opened: OpenedRange, offset: number, length: number): Promise<Uint8Array> {
  const { descriptor, path, key } = opened;
  // Not from Buffer's pool: the chunk belongs to the reader, who may transfer it to a worker.
  const chunk = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await translated({ operation: 'get', path, key }, () =>
      read(descriptor, chunk, filled, length - filled, offset + filled),
    );
    if (bytesRead === 0) {
      throw new StorageError({
        code: 'STORAGE_TRUNCATED',
        operation: 'get',
        message: `${path} ended at byte ${offset + filled} while it was being read; it had ${opened.end} bytes or more at first`,
        key,
        context: { path, offset: offset + filled },
      });
    }
    filled += bytesRead;
  }
  return new Uint8Array(chunk.buffer, 0, length);
}
