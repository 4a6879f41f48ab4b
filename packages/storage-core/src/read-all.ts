import { StorageError } from './storage-error.ts';

export interface ReadAllOptions {
  /** A body that is longer than this is `STORAGE_TOO_LARGE`; nothing beyond it is kept in memory. */
  readonly sizeMaxBytes: number;
  /** For the message. */
  readonly key?: string;
}

/** The whole body as one array. The array belongs to the caller. */
export async function readAll(body: AsyncIterable<Uint8Array>, options: ReadAllOptions): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > options.sizeMaxBytes) {
      throw new StorageError({
        code: 'STORAGE_TOO_LARGE',
        operation: 'get',
        message: `${options.key ?? 'the object'} is larger than ${options.sizeMaxBytes} bytes, which is more than it may be`,
        key: options.key,
        context: { sizeMaxBytes: options.sizeMaxBytes },
      });
    }
    chunks.push(chunk);
  }
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : concatenate(chunks, sizeBytes);
}

/** One array of all chunks. */
export function concatenate(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
