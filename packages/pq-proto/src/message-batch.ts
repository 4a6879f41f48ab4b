const SLAB_BYTES = 128 * 1024;
const SLABS_KEPT = 4;
const HEADER_BYTES = 5;

/** Takes a filled slab; calls `done` when its memory may be written again. */
export type SlabSink = (bytes: Buffer, done: () => void) => void;

/**
 * Typed messages gathered in reused slabs of 128 KiB, so that many small messages leave in one write. Everything is
 * copied: the caller's memory is free again when `message` returns.
 */
export class MessageBatch {
  readonly #sink: SlabSink;
  readonly #free: Buffer[] = [];
  #slab: Buffer | undefined;
  #filled = 0;

  constructor(sink: SlabSink) {
    this.#sink = sink;
  }

  get empty(): boolean {
    return this.#filled === 0;
  }

  /** Appends one message whose body is `parts` one after the other. */
  message(type: number, parts: readonly Uint8Array[]): void {
    let length = 4;
    for (const part of parts) length += part.length;
    let slab = this.#slab ?? this.#take();
    if (SLAB_BYTES - this.#filled < HEADER_BYTES) {
      this.emit();
      slab = this.#take();
    }
    slab[this.#filled] = type;
    slab.writeUInt32BE(length, this.#filled + 1);
    this.#filled += HEADER_BYTES;
    for (const part of parts) this.raw(part);
  }

  /** Appends bytes as they are. */
  raw(bytes: Uint8Array): void {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#filled === SLAB_BYTES) this.emit();
      const slab = this.#slab ?? this.#take();
      const count = Math.min(SLAB_BYTES - this.#filled, bytes.length - offset);
      slab.set(count === bytes.length ? bytes : bytes.subarray(offset, offset + count), this.#filled);
      this.#filled += count;
      offset += count;
    }
  }

  /** Hands what is gathered to the sink. */
  emit(): void {
    const slab = this.#slab;
    if (slab === undefined || this.#filled === 0) return;
    const bytes = slab.subarray(0, this.#filled);
    this.#slab = undefined;
    this.#filled = 0;
    this.#sink(bytes, () => {
      if (this.#free.length < SLABS_KEPT) this.#free.push(slab);
    });
  }

  #take(): Buffer {
    this.#slab = this.#free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    return this.#slab;
  }
}
