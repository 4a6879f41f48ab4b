import type { BuiltLayer } from '@neon-snapshot/neon-layer';

/**
 * Reused buffers in which layers are built whole, so that a put can be repeated and nothing is copied again. As many exist
 * as were ever in use at once.
 */
export class LayerBuffers {
  readonly sizeBytes: number;
  readonly #free: Uint8Array[] = [];

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(this.sizeBytes);
  }

  giveBack(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }
}

/**
 * Completes a layer in the buffer that its blobs already lie in, each where it will be in the file: copies the head before and
 * padding and index behind them. The result is a view of the buffer.
 */
export function completeInPlace(buffer: Uint8Array, layer: BuiltLayer): Uint8Array {
  let offset = 0;
  for (const chunk of layer.chunks) {
    const isInPlace = chunk.buffer === buffer.buffer && chunk.byteOffset === buffer.byteOffset + offset;
    if (!isInPlace) buffer.set(chunk, offset);
    offset += chunk.length;
  }
  return buffer.subarray(0, layer.sizeBytes);
}
