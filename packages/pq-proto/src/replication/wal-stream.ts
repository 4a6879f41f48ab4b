import type { ClientWire, Command } from '../client/client-wire.ts';
import { readResult, sendQuery } from '../client/simple-query.ts';
import type { Frame } from '../frame-parser.ts';
import { formatLsnText, parseLsnText } from '../lsn-text.ts';
import { BACKEND, COPY } from '../message-types.ts';
import { PqError } from '../pq-error.ts';
import { STREAM_WAL } from '../server-error.ts';
import { checkTimeLineId, parseTimeLineId, slotName } from './replication-commands.ts';
import {
  decodeWalMessage,
  encodeStandbyStatus,
  type StandbyStatus,
  type WalData,
  type WalKeepalive,
} from './wal-messages.ts';

const STATUS_INTERVAL_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;

export interface StartPhysicalReplicationOptions {
  /** Best the start of a segment, so that whole files can be made of the stream. */
  readonly startLsn: bigint;
  /** Default: the server's current one. */
  readonly timeLineId?: number;
  /** A physical slot, which keeps WAL behind the last flushed position. */
  readonly slot?: string;
  /** How often the last status is sent again, so that the server sees us alive. Default 10,000; 0: never. */
  readonly statusIntervalMs?: number;
  /** How long the server may be silent while a message is awaited; at half of it, it is asked. Default 60,000; 0: for ever. */
  readonly idleTimeoutMs?: number;
  /** Ends the connection. For an orderly end: `stop`. */
  readonly signal?: AbortSignal | undefined;
}

/** The timeline asked for has an end, and all of it has been sent. The connection takes commands again. */
export interface WalTimelineEnd {
  readonly kind: 'timeline-end';
  readonly nextTimeLineId: number;
  /** Where the next timeline begins. */
  readonly switchLsn: bigint;
}

export type WalMessage = WalData | WalKeepalive | WalTimelineEnd;

export async function startPhysicalReplication(
  wire: ClientWire,
  options: StartPhysicalReplicationOptions,
): Promise<WalStream> {
  const slot = options.slot === undefined ? '' : ` SLOT ${slotName(options.slot)}`;
  const timeLine = options.timeLineId === undefined ? '' : ` TIMELINE ${checkTimeLineId(options.timeLineId)}`;
  const command: Command = { operation: STREAM_WAL, signal: options.signal };
  const { release } = wire.acquire(command);
  try {
    sendQuery(
      wire,
      `START_REPLICATION${slot} PHYSICAL ${formatLsnText(options.startLsn)}${timeLine}`,
      STREAM_WAL,
    );
    const first = await wire.read(STREAM_WAL);
    if (first.type === BACKEND.CopyBothResponse) return new WalStream({ wire, release, options });
    // The start is the end of that timeline: no stream, the answer follows at once.
    if (first.type !== BACKEND.RowDescription) throw wire.unexpected(first, STREAM_WAL);
    const end = await readTimelineEnd(wire, first);
    release();
    return new WalStream({ wire, release: () => undefined, options, end });
  } catch (error) {
    release();
    throw wire.spoil(error, STREAM_WAL);
  }
}

interface WalStreamInit {
  readonly wire: ClientWire;
  readonly release: () => void;
  readonly options: StartPhysicalReplicationOptions;
  readonly end?: WalTimelineEnd | undefined;
}

/**
 * WAL as it is written. Not reading is back-pressure: the server waits. It ends by `stop`, by the end of the timeline, or
 * when the server shuts down in good order, having sent everything. Disposal stops it; a `break` does not.
 */
export class WalStream implements AsyncIterable<WalMessage>, AsyncDisposable {
  readonly #wire: ClientWire;
  readonly #release: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #statusIntervalMs: number;
  readonly #idleTimeoutMs: number;
  #state: 'streaming' | 'stopping' | 'ended' = 'streaming';
  #end: WalTimelineEnd | undefined;
  #status: StandbyStatus = { written: 0n, flushed: 0n };
  #statusSentAt = performance.now();
  #waitingSince: number | undefined;
  #asked = false;

  constructor(init: WalStreamInit) {
    this.#wire = init.wire;
    this.#release = init.release;
    this.#statusIntervalMs = init.options.statusIntervalMs ?? STATUS_INTERVAL_MS;
    this.#idleTimeoutMs = init.options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    this.#end = init.end;
    if (init.end) {
      this.#state = 'ended';
      return;
    }
    const periods = [this.#statusIntervalMs, this.#idleTimeoutMs / 4].filter((period) => period > 0);
    if (periods.length > 0) this.#timer = setInterval(() => this.#tick(), Math.min(...periods)).unref();
  }

  /** The next message, or undefined when the stream has ended. One call at a time. */
  async read(): Promise<WalMessage | undefined> {
    const end = this.#end;
    this.#end = undefined;
    if (end) return end;
    if (this.#state !== 'streaming') return undefined;
    try {
      const frame = this.#wire.channel.parser.pendingBytes > 0 ? await this.#next() : await this.#awaitNext();
      if (frame.type === COPY.Data) return this.#deliver(frame.body);
      if (frame.type === BACKEND.CommandComplete) return this.#endWithServer();
      if (frame.type !== COPY.Done) throw this.#wire.unexpected(frame, STREAM_WAL);
      return await this.#finish();
    } catch (error) {
      this.#close();
      throw this.#wire.spoil(error, STREAM_WAL);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WalMessage, void, void> {
    for (let message = await this.read(); message; message = await this.read()) yield message;
  }

  /** Tells the server how far we are; at any time, also while a read waits. False when the stream has ended. */
  sendStandbyStatus(status: StandbyStatus): boolean {
    if (this.#state !== 'streaming') return false;
    this.#status = { ...status, replyRequested: false };
    this.#sendStatus(status.replyRequested ?? false);
    return true;
  }

  /** Ends the stream in good order; what is still on its way is dropped. The connection takes commands again. */
  async stop(): Promise<void> {
    if (this.#state !== 'streaming') return;
    this.#state = 'stopping';
    const { channel } = this.#wire;
    channel.write(COPY.Done);
    channel.flush();
    try {
      for (;;) {
        const frame = await this.#wire.read(STREAM_WAL);
        if (frame.type === BACKEND.CommandComplete) return this.#endWithServer();
        if (frame.type === COPY.Done) break;
        if (frame.type !== COPY.Data) throw this.#wire.unexpected(frame, STREAM_WAL);
      }
      while (await readResult(this.#wire, STREAM_WAL));
    } catch (error) {
      throw this.#wire.spoil(error, STREAM_WAL);
    } finally {
      this.#close();
    }
  }

  /** As `stop`, but a connection that is gone already is no error. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch {
      this.#wire.channel.destroy();
    }
  }

  #next(): Promise<Frame> {
    return this.#wire.read(STREAM_WAL);
  }

  async #awaitNext(): Promise<Frame> {
    this.#waitingSince = performance.now();
    try {
      return await this.#next();
    } finally {
      this.#waitingSince = undefined;
      this.#asked = false;
    }
  }

  #deliver(body: Buffer): WalMessage {
    const message = decodeWalMessage(body);
    if (message.kind === 'keepalive' && message.replyRequested) this.#sendStatus(false);
    return message;
  }

  /** The server has sent CopyDone: the timeline ends. */
  async #finish(): Promise<WalTimelineEnd> {
    const { channel } = this.#wire;
    channel.write(COPY.Done);
    channel.flush();
    const frame = await this.#wire.expect(BACKEND.RowDescription, STREAM_WAL);
    const end = await readTimelineEnd(this.#wire, frame);
    this.#close();
    return end;
  }

  /** A server that shuts down has sent everything, says CommandComplete in the middle of the copy (WalSndDone), and goes. */
  #endWithServer(): undefined {
    this.#close();
    this.#wire.channel.destroy(
      new PqError({
        code: 'PQ_NOT_READY',
        operation: STREAM_WAL,
        message: `${this.#wire.channel.peer} has shut down`,
      }),
    );
  }

  #close(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearInterval(this.#timer);
    this.#release();
  }

  #sendStatus(replyRequested: boolean): void {
    this.#statusSentAt = performance.now();
    const { channel } = this.#wire;
    channel.write(COPY.Data, encodeStandbyStatus({ ...this.#status, replyRequested }, new Date()));
    channel.flush();
  }

  #tick(): void {
    const now = performance.now();
    const silentMs =
      this.#waitingSince === undefined || this.#idleTimeoutMs === 0 ? 0 : now - this.#waitingSince;
    if (silentMs > this.#idleTimeoutMs) this.#wire.channel.destroy(this.#idleError());
    else if (silentMs > this.#idleTimeoutMs / 2 && !this.#asked) {
      this.#asked = true;
      this.#sendStatus(true);
    } else if (this.#statusIntervalMs > 0 && now - this.#statusSentAt >= this.#statusIntervalMs - 1)
      this.#sendStatus(false);
  }

  #idleError(): PqError {
    const { peer } = this.#wire.channel;
    return new PqError({
      code: 'PQ_TIMEOUT',
      operation: STREAM_WAL,
      message: `${peer} has sent nothing for ${this.#idleTimeoutMs} ms, though asked; the connection is closed`,
      context: { peer, idleTimeoutMs: this.#idleTimeoutMs },
    });
  }
}

/** Row `next_tli`, `next_tli_startpos`, two CommandCompletes, ReadyForQuery; `first` is the RowDescription, already read. */
async function readTimelineEnd(wire: ClientWire, first: Frame): Promise<WalTimelineEnd> {
  const result = await readResult(wire, STREAM_WAL, first);
  while (await readResult(wire, STREAM_WAL));
  const [timeLineId, lsn] = result?.rows[0] ?? [];
  if (!timeLineId || !lsn)
    throw new PqError({
      code: 'PQ_PROTOCOL',
      operation: STREAM_WAL,
      message: `${wire.channel.peer} ends the timeline and does not name the next one`,
    });
  return {
    kind: 'timeline-end',
    nextTimeLineId: parseTimeLineId(timeLineId.toString('utf8')),
    switchLsn: parseLsnText(lsn.toString('utf8')),
  };
}
