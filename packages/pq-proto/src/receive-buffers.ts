import type { OnReadOpts } from 'node:net';

/** A Unix socket has up to 208 KiB to give at once; Node's own buffers take 64 KiB and are new ones each time. */
const BUFFER_SIZE_BYTES = 256 * 1024;

/**
 * Buffers that a socket reads into, used again when what they received has been used. A socket has to be made with `onread`; one that
 * was not, or of TLS, emits new buffers instead.
 */
export class ReceiveBuffers {
  /** For `net.connect`. */
  readonly onread: OnReadOpts;
  readonly #free: Buffer[] = [];
  #receive: ((chunk: Buffer) => void) | undefined;

  constructor() {
    this.onread = {
      buffer: () => this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE_BYTES),
      callback: (sizeBytes, buffer) => {
        this.#receive?.(Buffer.from(buffer.buffer, buffer.byteOffset, sizeBytes));
        return true;
      },
    };
  }

  /** Who gets the chunks; each belongs to it until given back. */
  receiveWith(receive: (chunk: Buffer) => void): void {
    this.#receive = receive;
  }

  /** False for a chunk that is none of these buffers. */
  giveBack({ buffer }: Buffer): boolean {
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== BUFFER_SIZE_BYTES) return false;
    this.#free.push(Buffer.from(buffer));
    return true;
  }
}
