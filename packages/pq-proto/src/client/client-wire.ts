import { BodyReader } from '../body-reader.ts';
import type { FrameChannel } from '../frame-channel.ts';
import type { Frame } from '../frame-parser.ts';
import { BACKEND } from '../message-types.ts';
import { isPqError, PqError, type PqServerFields, protocolError, throwIfAborted } from '../pq-error.ts';
import { serverError } from '../server-error.ts';
import { decodeServerFields } from '../server-fields.ts';

export interface ClientWireOptions {
  readonly channel: FrameChannel;
  readonly onNotice: ((notice: PqServerFields) => void) | undefined;
}

/** A command in progress; it has the connection to itself. */
export interface Command {
  readonly operation: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * The client's end of a connection: one command at a time, with what may arrive at any moment (notices, parameters) taken
 * out of the way. An abort or a broken protocol ends the connection; an error of the server does not, unless it is fatal.
 */
export class ClientWire {
  readonly channel: FrameChannel;
  readonly parameters = new Map<string, string>();
  readonly #onNotice: ClientWireOptions['onNotice'];
  #running: string | undefined;

  constructor(options: ClientWireOptions) {
    this.channel = options.channel;
    this.#onNotice = options.onNotice;
  }

  /** Takes the connection for a command. `release` gives it back. */
  acquire(command: Command): { readonly release: () => void } {
    throwIfAborted(command.signal, command.operation);
    if (this.#running !== undefined)
      throw new PqError({
        code: 'PQ_BUSY',
        operation: command.operation,
        message: `${command.operation} cannot start while ${this.#running} uses the connection; end that, or connect twice`,
      });
    this.#running = command.operation;
    const { signal } = command;
    const abort = () =>
      this.channel.destroy(
        new PqError({
          code: 'PQ_ABORTED',
          operation: command.operation,
          message: `${command.operation} was aborted; the connection is closed`,
          cause: signal?.reason,
        }),
      );
    signal?.addEventListener('abort', abort);
    return {
      release: () => {
        signal?.removeEventListener('abort', abort);
        this.#running = undefined;
      },
    };
  }

  /** Runs a command that is over when `work` is. A failure that the server did not report itself ends the connection. */
  async run<T>(command: Command, work: () => Promise<T>): Promise<T> {
    const { release } = this.acquire(command);
    try {
      return await work();
    } catch (error) {
      throw this.spoil(error, command.operation);
    } finally {
      release();
    }
  }

  /** After such a failure nobody knows what comes next on the connection: ends it. Gives the error back. */
  spoil(error: unknown, operation: string): unknown {
    if (isPqError(error) && error.server !== undefined) return error;
    this.channel.destroy(
      isPqError(error) ? error : protocolError(operation, `${operation} failed: ${error}`),
    );
    return error;
  }

  /** The next message that belongs to the command. Throws the server's error, with everything up to ReadyForQuery read. */
  async read(operation: string): Promise<Frame> {
    return this.passing(this.channel.tryRead() ?? (await this.channel.read()), operation);
  }

  /** The frame itself, or the first one behind it that belongs to the command. Throws as {@link read} does. */
  async passing(first: Frame, operation: string): Promise<Frame> {
    for (let frame = first; ; frame = await this.channel.read()) {
      switch (frame.type) {
        case BACKEND.NoticeResponse:
          this.#onNotice?.(decodeServerFields(frame.body));
          break;
        case BACKEND.ParameterStatus:
          this.#setParameter(frame.body);
          break;
        case BACKEND.NotificationResponse:
          break;
        case BACKEND.ErrorResponse:
          throw await this.#failure(frame.body, operation);
        default:
          return frame;
      }
    }
  }

  async expect(type: number, operation: string): Promise<Frame> {
    const frame = await this.read(operation);
    if (frame.type !== type) throw this.unexpected(frame, operation);
    return frame;
  }

  /** The protocol is out of step; nothing after this can be trusted. */
  unexpected(frame: Frame, operation: string): PqError {
    const error = protocolError(
      operation,
      `${this.channel.peer} sends a message of type 0x${frame.type.toString(16)}, which does not belong here`,
      { type: frame.type },
    );
    this.channel.destroy(error);
    return error;
  }

  #setParameter(body: Buffer): void {
    const reader = new BodyReader(body, 'ParameterStatus');
    this.parameters.set(reader.cstring(), reader.cstring());
  }

  async #failure(body: Buffer, operation: string): Promise<PqError> {
    const fields = decodeServerFields(body);
    const error = serverError({ fields, operation, peer: this.channel.peer });
    if (fields.severity === 'FATAL' || fields.severity === 'PANIC') this.channel.destroy(error);
    else await this.#untilReady();
    return error;
  }

  /** Reads on to ReadyForQuery; where the server goes away before it, its error still counts. */
  async #untilReady(): Promise<void> {
    try {
      for (;;) {
        const frame = await this.channel.read();
        if (frame.type === BACKEND.ReadyForQuery) return;
      }
    } catch {
      // The next command meets the failure of the channel.
    }
  }
}
