import type { FrameChannel } from '../frame-channel.ts';
import type { Frame } from '../frame-parser.ts';
import { COPY, FRONTEND } from '../message-types.ts';
import { PqError, protocolError } from '../pq-error.ts';

/** Messages of one `readBatch`, so that a fast client does not keep its answers waiting. */
const BATCH_MESSAGES_MAX = 512;
const OPERATION = 'copy both';

/**
 * The server's end of a CopyBoth. Made for many small messages: requests come in batches, as many as have arrived;
 * answers are copied into one batch that leaves by `flush`, or at the next turn of the event loop.
 */
export class CopyBothSession implements AsyncIterable<Uint8Array> {
  /** Aborted when the client goes away or cancels, or the server ends. */
  readonly signal: AbortSignal;
  readonly #channel: FrameChannel;
  #clientDone = false;

  constructor(init: { readonly channel: FrameChannel; readonly signal: AbortSignal }) {
    this.#channel = init.channel;
    this.signal = init.signal;
  }

  /**
   * At least one message, with all others that are there; empty when the client has ended its side. Throws `PQ_CLOSED` when
   * it is gone, which a handler lets pass. The messages are views of received memory, the handler's to keep.
   */
  async readBatch(): Promise<readonly Uint8Array[]> {
    const batch: Uint8Array[] = [];
    if (this.#clientDone) return batch;
    let frame: Frame | undefined = this.#channel.tryRead() ?? (await this.#channel.read());
    while (frame) {
      if (frame.type === COPY.Data) batch.push(frame.body);
      else if (this.#endsWith(frame)) break;
      if (batch.length >= BATCH_MESSAGES_MAX) break;
      frame = this.#channel.tryRead();
      if (!frame && batch.length === 0) frame = await this.#channel.read();
    }
    return batch;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (let batch = await this.readBatch(); batch.length > 0; batch = await this.readBatch()) yield* batch;
  }

  /** Sends one message, the parts one after the other; their memory is free again at once. */
  write(...parts: readonly Uint8Array[]): void {
    this.#channel.write(COPY.Data, ...parts);
  }

  /** Sends what is gathered. A promise where the client does not keep up: write no more before it is kept. */
  flush(): Promise<void> | undefined {
    this.#channel.flush();
    return this.#channel.drained();
  }

  /** After the handler: ends our side, and reads over what the client still sends. For the connection only. */
  async finish(): Promise<void> {
    this.#channel.write(COPY.Done);
    this.#channel.flush();
    while (!this.#clientDone) {
      const frame = await this.#channel.read();
      if (frame.type !== COPY.Data) this.#endsWith(frame);
    }
  }

  #endsWith(frame: Frame): boolean {
    switch (frame.type) {
      case COPY.Done:
        this.#clientDone = true;
        return true;
      case FRONTEND.CopyFail:
        this.#clientDone = true;
        throw copyFailed(frame.body);
      case FRONTEND.Terminate:
        throw new PqError({ code: 'PQ_CLOSED', operation: OPERATION, message: 'the client said good-bye' });
      // Ignored during a copy, as Postgres does.
      case FRONTEND.Sync:
      case FRONTEND.Flush:
        return false;
      default:
        throw protocolError(
          OPERATION,
          `the client sent a message of type 0x${frame.type.toString(16)} during a copy`,
        );
    }
  }
}

function copyFailed(body: Buffer): PqError {
  const end = body.indexOf(0);
  const reason = body.toString('utf8', 0, end < 0 ? body.length : end);
  const message = `the client ended the copy: ${reason.slice(0, 200)}`;
  return new PqError({
    code: 'PQ_ABORTED',
    operation: OPERATION,
    message,
    server: { severity: 'ERROR', code: '57014', message },
  });
}
