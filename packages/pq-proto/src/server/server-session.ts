import { BodyReader } from '../body-reader.ts';
import { BodyWriter } from '../body-writer.ts';
import type { FrameChannel } from '../frame-channel.ts';
import type { Frame } from '../frame-parser.ts';
import { AUTH_REQUEST, BACKEND, COPY, FRONTEND } from '../message-types.ts';
import { isPqError, PqError, protocolError } from '../pq-error.ts';
import { acceptStartup, authenticateClient } from './accept-startup.ts';
import { ExtendedQuery } from './extended-query.ts';
import type { PqStartup } from './pq-reply.ts';
import type { ServeSocketOptions } from './serve-pq.ts';
import { fieldsOf, sendError, sendReady, sendReply } from './server-replies.ts';

const AUTHENTICATION_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 2_000;
const MESSAGE_BYTES_MAX = 1024 * 1024;
const PARAMETERS = { client_encoding: 'UTF8', integer_datetimes: 'on', server_version: '14.1' };

export interface ServerSessionInit<Identity> {
  readonly channel: FrameChannel;
  readonly options: ServeSocketOptions<Identity>;
}

/** One client from its first byte to its last. */
export class ServerSession<Identity> {
  readonly #channel: FrameChannel;
  readonly #options: ServeSocketOptions<Identity>;
  readonly #extended: ExtendedQuery;
  readonly #ending = new AbortController();
  #request: AbortController | undefined;
  #startup: PqStartup | undefined;

  constructor(init: ServerSessionInit<Identity>) {
    this.#channel = init.channel;
    this.#options = init.options;
    this.#extended = new ExtendedQuery(init.channel);
  }

  /** Never rejects. */
  async run(): Promise<void> {
    try {
      const identity = await this.#start();
      if (identity) await this.#serve(identity.value);
    } catch (error) {
      // A client that goes away, or whom we send away ourselves, is no failure.
      if (!isPqError(error, 'PQ_CLOSED') && error !== this.#ending.signal.reason) this.#reportFatal(error);
    }
    await this.#channel.close(CLOSE_TIMEOUT_MS);
    this.#channel.destroy();
  }

  cancel(): void {
    this.#request?.abort(
      new PqError({
        code: 'PQ_ABORTED',
        operation: 'query',
        message: 'canceled by the client',
        server: { severity: 'ERROR', code: '57014', message: 'canceling statement due to user request' },
      }),
    );
  }

  /** Tells the client, aborts what runs, and lets `run` come to its end. */
  shutDown(reason: PqError): void {
    this.#sendAway(reason, '57P01');
  }

  #sendAway(reason: PqError, sqlState: string): void {
    if (this.#ending.signal.aborted) return;
    sendError(this.#channel, { severity: 'FATAL', code: sqlState, message: reason.message });
    this.#channel.flush();
    this.#ending.abort(reason);
    this.#request?.abort(reason);
    void this.#channel.close(CLOSE_TIMEOUT_MS).then(() => this.#channel.destroy(reason));
  }

  /** Undefined where the connection was a cancel request. */
  async #start(): Promise<{ readonly value: Identity } | undefined> {
    const timer = setTimeout(
      () => this.#sendAway(timeoutError('authentication took too long'), '57P05'),
      this.#options.authenticationTimeoutMs ?? AUTHENTICATION_TIMEOUT_MS,
    );
    try {
      const accepted = await acceptStartup(this.#channel);
      if ('cancel' in accepted) {
        this.#options.onCancel?.(accepted.cancel);
        return undefined;
      }
      this.#startup = accepted.startup;
      const value = await authenticateClient(this.#channel, this.#options.authentication, accepted.startup);
      this.#welcome();
      return { value };
    } finally {
      clearTimeout(timer);
    }
  }

  #welcome(): void {
    const { cancelKey } = this.#options;
    this.#channel.parser.messageBytesMax = this.#options.messageBytesMax ?? MESSAGE_BYTES_MAX;
    this.#channel.write(BACKEND.AuthenticationRequest, new BodyWriter().uint32(AUTH_REQUEST.Ok).finish());
    for (const [name, value] of Object.entries({ ...PARAMETERS, ...this.#options.parameters }))
      this.#channel.write(BACKEND.ParameterStatus, new BodyWriter().cstring(name).cstring(value).finish());
    if (cancelKey)
      this.#channel.write(
        BACKEND.BackendKeyData,
        new BodyWriter().uint32(cancelKey.processId).bytes(cancelKey.secretKey).finish(),
      );
    sendReady(this.#channel);
  }

  async #serve(identity: Identity): Promise<void> {
    /** After an error in an extended query everything up to Sync is skipped. */
    let skipping = false;
    for (;;) {
      const frame = await this.#nextCommand();
      switch (frame.type) {
        case FRONTEND.Terminate:
          return;
        case FRONTEND.Query:
          skipping = false;
          await this.#answer(new BodyReader(frame.body, 'Query').cstring(), identity);
          sendReady(this.#channel);
          break;
        case FRONTEND.Sync:
          skipping = false;
          sendReady(this.#channel);
          break;
        case FRONTEND.Parse:
        case FRONTEND.Bind:
        case FRONTEND.Describe:
        case FRONTEND.Execute:
        case FRONTEND.Close:
          if (!skipping) skipping = !(await this.#extendedStep(frame, identity));
          break;
        case FRONTEND.Flush:
          this.#channel.flush();
          break;
        // What a client had sent before it saw that the copy had failed.
        case COPY.Data:
        case COPY.Done:
        case FRONTEND.CopyFail:
          break;
        default:
          throw protocolError(
            'read message',
            `the client sent a message of type 0x${frame.type.toString(16)}`,
          );
      }
    }
  }

  async #nextCommand(): Promise<Frame> {
    const frame = this.#channel.tryRead();
    if (frame) return frame;
    const { idleTimeoutMs } = this.#options;
    if (!idleTimeoutMs) return await this.#channel.read();
    const timer = setTimeout(
      () => this.#sendAway(timeoutError(`no command came for ${idleTimeoutMs} ms`), '57P05'),
      idleTimeoutMs,
    );
    try {
      return await this.#channel.read();
    } finally {
      clearTimeout(timer);
    }
  }

  /** False where it failed. */
  async #extendedStep(frame: Frame, identity: Identity): Promise<boolean> {
    try {
      const sql = this.#extended.take(frame);
      return sql === undefined || (await this.#answer(sql, identity));
    } catch (error) {
      sendError(this.#channel, fieldsOf(error, 'ERROR', 'XX000'));
      return false;
    }
  }

  async #answer(sql: string, identity: Identity): Promise<boolean> {
    const startup = this.#startup;
    if (startup === undefined) throw protocolError('query', 'a command before the startup message');
    if (sql.trim() === '') {
      this.#channel.write(BACKEND.EmptyQueryResponse);
      return true;
    }
    const request = new AbortController();
    this.#request = request;
    const signal = AbortSignal.any([request.signal, this.#channel.gone]);
    try {
      const reply = await this.#options.handle({ sql, startup, identity, signal });
      await sendReply(this.#channel, reply, signal);
      return true;
    } catch (error) {
      if (this.#ending.signal.aborted || this.#channel.gone.aborted || isPqError(error, 'PQ_CLOSED'))
        throw error;
      this.#options.onError?.(error, startup);
      const told = request.signal.aborted ? request.signal.reason : error;
      sendError(this.#channel, fieldsOf(told, 'ERROR', 'XX000'));
      return false;
    } finally {
      this.#request = undefined;
    }
  }

  #reportFatal(error: unknown): void {
    this.#options.onError?.(error, this.#startup);
    sendError(this.#channel, fieldsOf(error, 'FATAL', 'XX000'));
  }
}

function timeoutError(message: string): PqError {
  return new PqError({ code: 'PQ_TIMEOUT', operation: 'serve', message });
}
