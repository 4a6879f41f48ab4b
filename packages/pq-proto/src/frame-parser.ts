import { PqError, protocolError } from './pq-error.ts';

/** One message of the wire: what follows the length, not yet decoded. */
export interface Frame {
  /** The type byte; 0 in front of authentication, where messages have none. */
  readonly type: number;
  /** A view of a received chunk where the message lies in one, so it holds that chunk (up to 64 KiB) in memory. */
  readonly body: Buffer;
}

const LENGTH_SIZE = 4;
const EMPTY = Buffer.alloc(0);

/**
 * Cuts a byte stream into frames. Chunks go in by `push`, frames come out by `next`. What it holds is bounded: chunks not
 * yet taken, and one message of at most `messageBytesMax` that is still arriving. Does no I/O and keeps what it is given:
 * a pushed chunk must not be written again.
 */
export class FrameParser {
  /** Longest body that is accepted; `next` throws `PQ_TOO_LARGE` for a longer one and stays failed. */
  messageBytesMax: number;
  /** False until authentication: messages without a type byte. */
  typed: boolean;
  /**
   * False: a body is good only until the next frame is asked for, and received memory is freed then. For gigabytes of large messages:
   * left to the garbage collector, chunks of 64 KiB cost as much CPU time as all work on them (measured, Node 24.21).
   */
  keepsBodies = true;
  readonly #chunks: Buffer[] = [];
  #offset = 0;
  #pendingBytes = 0;
  readonly #header = Buffer.alloc(1 + LENGTH_SIZE);
  #headerFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;
  /** Chunks that were taken to their end, and a body that was put together: freed or used again. */
  #spent: Buffer[] = [];
  readonly #giveBack: (chunk: Buffer) => void;
  #assembly = EMPTY;
  #failure: PqError | undefined;

  constructor(options: {
    readonly messageBytesMax: number;
    readonly typed: boolean;
    /** Takes chunks that were used to their end while bodies are not kept. Default: frees them. */
    readonly giveBack?: (chunk: Buffer) => void;
  }) {
    this.messageBytesMax = options.messageBytesMax;
    this.typed = options.typed;
    this.#giveBack = options.giveBack ?? freeChunk;
  }

  /** Bytes pushed and not yet taken by `next`. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** True where a message has begun and not ended: the end of the stream would be a truncation. */
  get insideMessage(): boolean {
    return this.#pendingBytes > 0 || this.#headerFilled > 0;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#pendingBytes += chunk.length;
  }

  /** The next whole frame, or undefined until more is pushed. */
  next(): Frame | undefined {
    if (this.#failure) throw this.#failure;
    if (this.#spent.length > 0) this.#freeSpent();
    if (this.#body === undefined) {
      const bodyLength = this.#takeHeader();
      if (bodyLength === undefined) return undefined;
      const view = this.#takeView(bodyLength);
      if (view) return this.#frame(view);
      this.#body = this.#roomFor(bodyLength);
      this.#bodyFilled = 0;
    }
    this.#bodyFilled += this.#copyInto(this.#body, this.#bodyFilled);
    return this.#bodyFilled === this.#body.length ? this.#frame(this.#body) : undefined;
  }

  #frame(body: Buffer): Frame {
    const type = this.typed ? (this.#header[0] ?? 0) : 0;
    this.#headerFilled = 0;
    this.#body = undefined;
    return { type, body };
  }

  /** Length of the body once the header is there; checks it against the limit before anything is allocated. */
  #takeHeader(): number | undefined {
    const headerSize = this.typed ? 1 + LENGTH_SIZE : LENGTH_SIZE;
    const header = this.#header.subarray(0, headerSize);
    this.#headerFilled += this.#copyInto(header, this.#headerFilled);
    if (this.#headerFilled < headerSize) return undefined;
    const length = header.readUInt32BE(headerSize - LENGTH_SIZE);
    const bodyLength = length - LENGTH_SIZE;
    if (bodyLength < 0)
      throw this.#fail(protocolError('read message', `a message gives its length as ${length}`));
    if (bodyLength > this.messageBytesMax)
      throw this.#fail(tooLarge(header[0] ?? 0, bodyLength, this.messageBytesMax));
    return bodyLength;
  }

  #fail(error: PqError): PqError {
    this.#failure = error;
    return error;
  }

  #takeView(length: number): Buffer | undefined {
    if (length === 0) return EMPTY;
    const chunk = this.#chunks[0];
    if (chunk === undefined || chunk.length - this.#offset < length) return undefined;
    const view = chunk.subarray(this.#offset, this.#offset + length);
    this.#advance(chunk, length);
    return view;
  }

  #copyInto(target: Buffer, from: number): number {
    let filled = from;
    while (filled < target.length) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) break;
      const count = Math.min(chunk.length - this.#offset, target.length - filled);
      chunk.copy(target, filled, this.#offset, this.#offset + count);
      filled += count;
      this.#advance(chunk, count);
    }
    return filled - from;
  }

  #advance(chunk: Buffer, count: number): void {
    this.#offset += count;
    this.#pendingBytes -= count;
    if (this.#offset < chunk.length) return;
    this.#chunks.shift();
    this.#offset = 0;
    if (!this.keepsBodies) this.#spent.push(chunk);
  }

  #freeSpent(): void {
    for (const chunk of this.#spent) this.#giveBack(chunk);
    this.#spent = [];
  }

  #roomFor(bodyLength: number): Buffer {
    if (this.keepsBodies) return Buffer.allocUnsafe(bodyLength);
    if (this.#assembly.length < bodyLength) this.#assembly = Buffer.allocUnsafe(bodyLength);
    return this.#assembly.subarray(0, bodyLength);
  }
}

/** A chunk that is a part of something larger stays. */
export function freeChunk({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function tooLarge(type: number, length: number, maximum: number): PqError {
  return new PqError({
    code: 'PQ_TOO_LARGE',
    operation: 'read message',
    message: `a message of type 0x${type.toString(16)} announces ${length} bytes; at most ${maximum} are taken`,
    context: { type, length, maximum },
  });
}
