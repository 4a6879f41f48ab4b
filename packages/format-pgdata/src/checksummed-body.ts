import { type FileEntry, releaseChunk } from '@neon-snapshot/format-core';
import { crc32c } from '@neon-snapshot/postgres';

/**
 * A body on its way to a storage, and the CRC-32C of what has passed, taken here or by the source. The next chunk is asked for before one is
 * written: chunks belong to their receiver, and a source that decompresses or waits for a server would stand still meanwhile.
 */
export class ChecksummedBody implements AsyncIterable<Uint8Array> {
  #crc = 0;
  readonly #entry: Pick<FileEntry, 'body' | 'crc32c'>;

  constructor(entry: Pick<FileEntry, 'body' | 'crc32c'>) {
    this.#entry = entry;
  }

  /** Of the whole body, when it was drained. */
  get crc(): number {
    return this.#entry.crc32c?.() ?? this.#crc;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { body, crc32c: known } = this.#entry;
    const chunks = body[Symbol.asyncIterator]();
    let ahead = chunks.next();
    try {
      for (let step = await ahead; step.done !== true; step = await ahead) {
        const chunk = step.value;
        ahead = chunks.next();
        // Its failure is met where it is awaited; until then it must not count as unhandled.
        ahead.catch(() => undefined);
        if (known === undefined) this.#crc = crc32c(chunk, this.#crc);
        yield chunk;
        // The storage has asked for the next one, so it is done with this one.
        releaseChunk(chunk);
      }
    } finally {
      await ahead.catch(() => undefined);
      await chunks.return?.();
    }
  }
}
