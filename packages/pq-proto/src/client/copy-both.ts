import type { Frame } from '../frame-parser.ts';
import { BACKEND, COPY } from '../message-types.ts';
import type { ClientWire } from './client-wire.ts';
import type { CopyCommand } from './copy-out.ts';
import { readResult, sendQuery } from './simple-query.ts';

const OPERATION = 'copy both';

export async function startCopyBoth(wire: ClientWire, command: CopyCommand): Promise<CopyBoth> {
  const { release } = wire.acquire({ operation: OPERATION, signal: command.signal });
  try {
    sendQuery(wire, command.sql, OPERATION);
    await wire.expect(BACKEND.CopyBothResponse, OPERATION);
    return new CopyBoth({ wire, release });
  } catch (error) {
    release();
    throw wire.spoil(error, OPERATION);
  }
}

/** Messages both ways on one connection, each side in its own time. Disposal ends it in good order. */
export class CopyBoth implements AsyncDisposable {
  readonly #wire: ClientWire;
  readonly #release: () => void;
  #ended = false;

  constructor(init: { readonly wire: ClientWire; readonly release: () => void }) {
    this.#wire = init.wire;
    this.#release = init.release;
  }

  /** Copies a message into the batch, which leaves at the next turn of the event loop or by `flush`. */
  write(...parts: readonly Uint8Array[]): void {
    this.#wire.channel.write(COPY.Data, ...parts);
  }

  /** Sends the batch now; undefined, or a promise where the server does not keep up. */
  flush(): Promise<void> | undefined {
    this.#wire.channel.flush();
    return this.#wire.channel.drained();
  }

  /** The next message, or undefined when the server has ended the stream. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#ended) return undefined;
    try {
      const frame = await this.#wire.read(OPERATION);
      if (frame.type === COPY.Data) return frame.body;
      await this.#finish(frame);
      return undefined;
    } catch (error) {
      this.#end();
      throw this.#wire.spoil(error, OPERATION);
    }
  }

  /** Ends our side, drops what still comes, and leaves the connection ready for the next command. */
  async end(): Promise<void> {
    if (this.#ended) return;
    try {
      this.#wire.channel.write(COPY.Done);
      this.#wire.channel.flush();
      let frame = await this.#wire.read(OPERATION);
      while (frame.type === COPY.Data) frame = await this.#wire.read(OPERATION);
      if (frame.type !== COPY.Done) throw this.#wire.unexpected(frame, OPERATION);
      while (await readResult(this.#wire, OPERATION));
    } catch (error) {
      throw this.#wire.spoil(error, OPERATION);
    } finally {
      this.#end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.end();
    } catch {
      this.#wire.channel.destroy();
    }
  }

  /** The server sent CopyDone first. */
  async #finish(frame: Frame): Promise<void> {
    if (frame.type !== COPY.Done) throw this.#wire.unexpected(frame, OPERATION);
    this.#wire.channel.write(COPY.Done);
    this.#wire.channel.flush();
    while (await readResult(this.#wire, OPERATION));
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
  }
}
