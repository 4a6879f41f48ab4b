import type { Socket } from 'node:net';
import { type Frame, FrameParser, freeChunk } from './frame-parser.ts';
import { MessageBatch } from './message-batch.ts';
import { PqError } from './pq-error.ts';
import type { ReceiveBuffers } from './receive-buffers.ts';

/** Received bytes at which reading from the socket stops, and at which it goes on. */
const READ_HIGH_BYTES = 512 * 1024;
const READ_LOW_BYTES = 128 * 1024;
/** Sent bytes not yet taken by the kernel from which `drained` waits. */
const WRITE_HIGH_BYTES = 512 * 1024;

export interface FrameChannelOptions {
  readonly socket: Socket;
  readonly messageBytesMax: number;
  /** False where messages without type byte come first. */
  readonly typed: boolean;
  /** For messages: `host:port`, or `client`. */
  readonly peer: string;
  /** What the socket was made with, if anything. */
  readonly buffers?: ReceiveBuffers | undefined;
}

/**
 * Frames in and out over one socket, with back-pressure both ways. One reader at a time. After a failure every `read`
 * throws it; `PQ_CLOSED` where the peer went away.
 */
export class FrameChannel {
  readonly peer: string;
  readonly parser: FrameParser;
  /** Aborted when the connection is gone, with the error as its reason. */
  readonly gone: AbortSignal;
  readonly #socket: Socket;
  readonly #batch: MessageBatch;
  readonly #gone = new AbortController();
  #failure: PqError | undefined;
  /** Our own doing: what has arrived before is not delivered any more. */
  #destroyed = false;
  #paused = false;
  #wakeReader: (() => void) | undefined;
  #unsentBytes = 0;
  #wakeWriters: (() => void)[] = [];
  #flushScheduled = false;

  constructor(options: FrameChannelOptions) {
    this.peer = options.peer;
    const { socket, buffers } = options;
    this.parser = new FrameParser({
      ...options,
      giveBack: (chunk) => {
        if (buffers?.giveBack(chunk) !== true) freeChunk(chunk);
      },
    });
    this.gone = this.#gone.signal;
    this.#socket = socket;
    this.#batch = new MessageBatch((bytes, done) => this.#send(bytes, done));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    buffers?.receiveWith((chunk) => {
      if (!this.parser.keepsBodies) return this.#receive(chunk);
      // Whoever gets these bytes may keep them.
      this.#receive(Buffer.from(chunk));
      buffers.giveBack(chunk);
    });
    socket.on('end', () => this.#fail(this.#closedError()));
    socket.on('close', () => this.#fail(this.#closedError()));
    socket.on('error', (error) => this.#fail(this.#closedError(error)));
    socket.resume();
  }

  /** A frame that has arrived already, or undefined. */
  tryRead(): Frame | undefined {
    if (this.#destroyed && this.#failure) throw this.#failure;
    const frame = this.parser.next();
    if (this.#paused && this.parser.pendingBytes <= READ_LOW_BYTES) {
      this.#paused = false;
      this.#socket.resume();
    }
    return frame;
  }

  /** The next frame; waits for it. */
  async read(): Promise<Frame> {
    for (;;) {
      const frame = this.tryRead();
      if (frame) return frame;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  /** Appends a message to the batch, which leaves at the next turn of the event loop or by `flush`. */
  write(type: number, ...parts: readonly Uint8Array[]): void {
    if (this.#failure) return;
    this.#batch.message(type, parts);
    this.#scheduleFlush();
  }

  /** Bytes that are no typed message. */
  writeRaw(bytes: Uint8Array): void {
    if (this.#failure) return;
    this.#batch.raw(bytes);
    this.#scheduleFlush();
  }

  /** Hands the batch to the socket now. */
  flush(): void {
    this.#batch.emit();
  }

  /** Undefined while the peer keeps up; else a promise for when it does again, rejected when it is gone. */
  drained(): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#unsentBytes <= WRITE_HIGH_BYTES) return undefined;
    return this.#untilSent();
  }

  async #untilSent(): Promise<void> {
    while (this.#unsentBytes > WRITE_HIGH_BYTES) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wakeWriters.push(resolve);
      });
    }
    if (this.#failure) throw this.#failure;
  }

  /** Ends the connection at once. Every `read` and `drained` throws `reason`, or `PQ_CLOSED`. */
  destroy(reason?: PqError): void {
    this.#fail(reason ?? this.#closedError());
    this.#destroyed = true;
    this.#socket.destroy();
  }

  /** Sends what is gathered, then ends our side and waits for the socket to close, at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#socket.destroyed) return;
    this.flush();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), timeoutMs);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      // What still arrives is of no interest, but must be read for the peer's end to be seen.
      this.#socket.resume();
      this.#socket.end();
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#failure) return;
    this.parser.push(chunk);
    if (!this.#paused && this.parser.pendingBytes >= READ_HIGH_BYTES) {
      this.#paused = true;
      this.#socket.pause();
    }
    this.#wake();
  }

  #send(bytes: Buffer, done: () => void): void {
    if (this.#failure) return;
    this.#unsentBytes += bytes.length;
    this.#socket.write(bytes, () => {
      this.#unsentBytes -= bytes.length;
      done();
      if (this.#unsentBytes <= WRITE_HIGH_BYTES) this.#wakeAllWriters();
    });
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  #fail(failure: PqError): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#wake();
    this.#wakeAllWriters();
    this.#gone.abort(failure);
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  #wakeAllWriters(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }

  #closedError(cause?: Error): PqError {
    const where = this.parser.insideMessage ? ' in the middle of a message' : '';
    return new PqError({
      code: 'PQ_CLOSED',
      operation: 'read message',
      message: `${this.peer} closed the connection${where}${cause ? `: ${cause.message}` : ''}`,
      context: { peer: this.peer },
      cause,
    });
  }
}
