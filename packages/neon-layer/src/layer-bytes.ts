import { type ByteRange, type GetResult, isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { NeonLayerError } from './layer-error.ts';

/** Layers up to this size are read whole by one request and kept in memory while they are open. */
export const SMALL_LAYER_BYTES_MAX: number = 256 * 1024;

export interface LayerBytesOptions {
  readonly storage: Storage;
  readonly objectKey: string;
  /** What the index says; an object of another size is refused. */
  readonly sizeBytes: number;
}

/** Ranged reads of one stored layer. */
export class LayerBytes {
  readonly #options: LayerBytesOptions;
  #whole: Promise<Uint8Array> | undefined;

  constructor(options: LayerBytesOptions) {
    this.#options = options;
  }

  /**
   * Exactly `length` bytes from `offset` on; the range lies inside the file. A buffer larger than {@link SMALL_LAYER_BYTES_MAX} is the
   * receiver's own.
   */
  async read(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { sizeBytes } = this.#options;
    if (sizeBytes > SMALL_LAYER_BYTES_MAX) return this.#fetch(offset, length, signal);
    this.#whole ??= this.#fetch(0, sizeBytes, signal);
    try {
      return (await this.#whole).subarray(offset, offset + length);
    } catch (error) {
      this.#whole = undefined;
      throw error;
    }
  }

  async #fetch(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { sizeBytes } = this.#options;
    const { info, body } = await this.#get({ offset, length }, signal);
    if (info.sizeBytes !== sizeBytes) {
      throw this.#fault('NEON_LAYER_MISMATCH', `it has ${info.sizeBytes} bytes, the index says ${sizeBytes}`);
    }
    let bytes: Uint8Array | undefined;
    let end = 0;
    for await (const chunk of body) {
      if (end + chunk.length > length)
        throw this.#fault('NEON_LAYER_CORRUPT', 'a range is longer than asked for');
      // A storage that reads the range at once spares a copy: its chunk is ours.
      if (chunk.length === length) bytes = chunk;
      else {
        bytes ??= new Uint8Array(length);
        bytes.set(chunk, end);
      }
      end += chunk.length;
    }
    if (end !== length)
      throw this.#fault('NEON_LAYER_TRUNCATED', `${end} of ${length} bytes at ${offset} came`);
    return bytes ?? new Uint8Array(0);
  }

  async #get(range: ByteRange, signal: AbortSignal | undefined): Promise<GetResult> {
    const { storage, objectKey, sizeBytes } = this.#options;
    try {
      return await storage.get(objectKey, { range, signal });
    } catch (error) {
      if (isStorageError(error, 'STORAGE_NOT_FOUND'))
        throw this.#fault(
          'NEON_LAYER_TRUNCATED',
          'the index lists it, but it is not there; was the bucket copied in part, or is a page server deleting layers just now?',
          error,
        );
      if (isStorageError(error, 'STORAGE_TRUNCATED'))
        throw this.#fault(
          'NEON_LAYER_MISMATCH',
          `it is shorter than the ${sizeBytes} bytes of the index`,
          error,
        );
      throw error;
    }
  }

  #fault(
    code: 'NEON_LAYER_MISMATCH' | 'NEON_LAYER_CORRUPT' | 'NEON_LAYER_TRUNCATED',
    reason: string,
    cause?: unknown,
  ): NeonLayerError {
    const { objectKey, storage } = this.#options;
    return new NeonLayerError({
      code,
      operation: 'read',
      message: `The layer ${objectKey} in ${storage.url} cannot be read: ${reason.replace(/(?<![.?])$/, '.')}`,
      context: { layer: objectKey },
      cause,
    });
  }
}
