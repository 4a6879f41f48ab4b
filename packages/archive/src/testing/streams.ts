import { type ReadTarOptions, readTar } from '../read-tar.ts';
import type { TarEntry } from '../tar-entry.ts';

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/** The bytes in chunks of `sizeBytes`. */
export async function* inChunks(bytes: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += sizeBytes)
    yield bytes.subarray(offset, offset + sizeBytes);
}

export interface ListedEntry extends Omit<TarEntry, 'body' | 'modifiedAt'> {
  readonly modifiedAt: number;
  /** Of all bytes of the body. */
  readonly sum: number;
}

export async function listTar(
  stream: AsyncIterable<Uint8Array>,
  options: ReadTarOptions = {},
): Promise<ListedEntry[]> {
  const found: ListedEntry[] = [];
  for await (const { body, modifiedAt, ...entry } of readTar(stream, options)) {
    let sum = 0;
    for await (const chunk of body) for (const byte of chunk) sum += byte;
    found.push({ ...entry, modifiedAt: modifiedAt.getTime(), sum });
  }
  return found;
}
