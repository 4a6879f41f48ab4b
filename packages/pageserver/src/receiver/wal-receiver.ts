import { formatLsn, lsn as toLsn } from '@neon-snapshot/postgres';
import { connectPq, isPqError, type PqConnection, type WalStream } from '@neon-snapshot/pq-proto';
import type { LeaseClock } from '@neon-snapshot/repository';
import type { PageServerEvent } from '../page-server/events.ts';
import type { WalSource, WalSourceState } from '../page-server/wal-source.ts';
import { isPageServerError, PageServerError } from '../page-server-error.ts';
import type { Timeline } from '../timeline/timeline.ts';

/** What Postgres knows this page server as: to be named in `synchronous_standby_names`. */
const APPLICATION_NAME = 'neon_pageserver';
const FIRST_DELAY_MS = 100;
const DELAY_MAX_MS = 5_000;
/** How often Postgres is told where we are when nothing changes. */
const STATUS_INTERVAL_MS = 2_000;
/** SQLSTATE duplicate_object: the slot is there already. */
const DUPLICATE_OBJECT = '42710';

export interface WalReceiverOptions {
  readonly timeline: Timeline;
  readonly source: WalSource;
  readonly clock: LeaseClock;
  readonly emit: (event: PageServerEvent) => void;
}

/**
 * Takes a timeline's WAL from a running Postgres by physical replication, from a slot, and tells it what is durable in the storage.
 * Connects again for ever, also where the WAL does not continue the timeline: somebody may set that right.
 */
export class WalReceiver {
  readonly #options: WalReceiverOptions;
  readonly #ended = new AbortController();
  readonly #done: Promise<void>;
  #state: Omit<WalSourceState, 'source'> = { state: 'connecting' };
  #delayMs = FIRST_DELAY_MS;

  constructor(options: WalReceiverOptions) {
    this.#options = options;
    this.#done = this.#keepReceiving();
  }

  get state(): WalSourceState {
    return { source: this.#options.source, ...this.#state };
  }

  /** Resolves when nothing more is taken. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#done;
  }

  async #keepReceiving(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      this.#state = { ...this.#state, state: 'connecting' };
      try {
        await this.#receive();
        this.#onLost('Postgres ended the stream');
      } catch (error) {
        if (signal.aborted || isEnd(error)) return;
        if (isPageServerError(error, 'PAGESERVER_INVALID_WAL')) this.#onRefused(error.message);
        else this.#onLost(error instanceof Error ? error.message : String(error));
      }
      await this.#options.clock.sleep(this.#delayMs, signal);
      this.#delayMs = Math.min(this.#delayMs * 2, DELAY_MAX_MS);
    }
  }

  async #receive(): Promise<void> {
    const { source, timeline } = this.#options;
    const { host, port, user, passfile, slot, tls, tlsRootCertificate } = source;
    const { signal } = this.#ended;
    await using connection = await connectPq({
      host,
      port,
      user,
      ...(passfile === undefined ? {} : { passfile }),
      tls,
      tlsRootCertificate,
      replication: 'physical',
      applicationName: APPLICATION_NAME,
      env: {},
      signal,
    });
    await assertSameCluster(connection, timeline, source);
    if (source.timeLineId === undefined) await ensureSlot(connection, slot);
    timeline.restartStream();
    await using stream = await connection.startPhysicalReplication({
      startLsn: timeline.lastRecordLsn,
      slot,
      statusIntervalMs: STATUS_INTERVAL_MS,
      signal,
    });
    this.#onConnected();
    await this.#follow(stream);
  }

  async #follow(stream: WalStream): Promise<void> {
    const { timeline } = this.#options;
    const report = () => {
      const flushed = timeline.durableLsn;
      stream.sendStandbyStatus({ written: timeline.receivedLsn, flushed, applied: flushed });
    };
    const unsubscribe = timeline.onDurable(report);
    report();
    try {
      for await (const message of stream) {
        if (message.kind === 'timeline-end') return this.#onTimelineEnd(message.nextTimeLineId);
        if (message.kind === 'data') {
          await timeline.ingestWal(message.data, toLsn(message.startLsn));
          this.#delayMs = FIRST_DELAY_MS;
        } else if (message.replyRequested) {
          // A Postgres that shuts down waits until everything is flushed here.
          timeline.hurryTail();
          report();
        }
      }
    } finally {
      unsubscribe();
    }
  }

  #onTimelineEnd(next: number): void {
    const { timeLineId } = this.#options.source;
    if (timeLineId !== undefined) throw promoted(next, timeLineId);
  }

  #onConnected(): void {
    const { timeline, emit } = this.#options;
    this.#state = { state: 'streaming' };
    const lsn = formatLsn(timeline.lastRecordLsn);
    emit({ kind: 'wal-source-connected', timelineId: timeline.timelineId, lsn });
  }

  #onLost(message: string): void {
    const { timeline, emit } = this.#options;
    const isNew = this.#state.message !== message;
    this.#state = { state: 'waiting', message };
    const { timelineId } = timeline;
    if (isNew) emit({ kind: 'wal-source-lost', timelineId, message, retryInMs: this.#delayMs });
  }

  #onRefused(message: string): void {
    const { timeline, emit } = this.#options;
    const isNew = this.#state.message !== message;
    this.#state = { state: 'refused', message };
    this.#delayMs = DELAY_MAX_MS;
    if (isNew) emit({ kind: 'wal-source-refused', timelineId: timeline.timelineId, message });
  }
}

function isEnd(error: unknown): boolean {
  return isPageServerError(error, 'PAGESERVER_FENCED') || isPageServerError(error, 'PAGESERVER_CLOSED');
}

/** The stream cannot continue the timeline where it is another cluster's, or a Postgres that has less than the timeline. */
async function assertSameCluster(
  connection: PqConnection,
  timeline: Timeline,
  { timeLineId }: WalSource,
): Promise<void> {
  const found = await connection.identifySystem();
  const { systemIdentifier } = await timeline.clusterFacts();
  if (BigInt(found.systemIdentifier) !== systemIdentifier)
    throw refused(
      `this Postgres has the system identifier ${found.systemIdentifier}, the timeline's is ${systemIdentifier}: it is another cluster`,
    );
  if (timeLineId !== undefined && found.timeLineId !== timeLineId)
    throw promoted(found.timeLineId, timeLineId);
  const { lastRecordLsn } = timeline;
  if (found.lsn < lastRecordLsn)
    throw refused(
      `this Postgres ends at ${formatLsn(toLsn(found.lsn))}, the timeline at ${formatLsn(lastRecordLsn)}: its data directory is older`,
    );
}

async function ensureSlot(connection: PqConnection, name: string): Promise<void> {
  try {
    await connection.createPhysicalSlot({ name });
  } catch (error) {
    if (!isPqError(error) || error.server?.code !== DUPLICATE_OBJECT) throw error;
  }
}

function promoted(found: number, followed: number): PageServerError {
  return refused(
    `the primary is on TimeLineID ${found}, the one that is followed is ${followed}: another server was promoted; its WAL is another history, so follow it into a new storage_dest`,
  );
}

function refused(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_INVALID_WAL', operation: 'receive', message });
}
