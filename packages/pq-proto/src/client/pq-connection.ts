import { FRONTEND } from '../message-types.ts';
import { type BaseBackup, startBaseBackup } from '../replication/base-backup.ts';
import type { BaseBackupOptions } from '../replication/base-backup-command.ts';
import {
  type CreateSlotOptions,
  createPhysicalSlot,
  dropSlot,
  identifySystem,
  type ReplicationSlot,
  readSlot,
  type SystemIdentification,
  showSetting,
  type TimelineHistoryFile,
  timelineHistory,
} from '../replication/replication-commands.ts';
import {
  type StartPhysicalReplicationOptions,
  startPhysicalReplication,
  type WalStream,
} from '../replication/wal-stream.ts';
import type { ClientWire } from './client-wire.ts';
import { type CopyBoth, startCopyBoth } from './copy-both.ts';
import { copyOut } from './copy-out.ts';
import { type PqResult, simpleQuery, textResult } from './simple-query.ts';

const CLOSE_TIMEOUT_MS = 5_000;

export interface PqCommandOptions {
  /** Ends the connection. */
  readonly signal?: AbortSignal | undefined;
}

export interface PqConnectionInit {
  readonly wire: ClientWire;
  readonly encrypted: boolean;
}

/** An authenticated connection. One command at a time: `PQ_BUSY` else. Disposal closes it. */
export class PqConnection implements AsyncDisposable {
  /** Whether the connection has TLS. */
  readonly encrypted: boolean;
  readonly #wire: ClientWire;

  constructor(init: PqConnectionInit) {
    this.#wire = init.wire;
    this.encrypted = init.encrypted;
  }

  /** `host:port` or the path of the socket. */
  get peer(): string {
    return this.#wire.channel.peer;
  }

  /** ParameterStatus of the server: `server_version`, `TimeZone`, …. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#wire.parameters;
  }

  /** Of `server_version`; 0 where the server says none. */
  get serverMajor(): number {
    return Number(/^\d+/.exec(this.parameters.get('server_version') ?? '')?.[0] ?? 0);
  }

  /** Aborted when the connection is gone, with the error as its reason. */
  get gone(): AbortSignal {
    return this.#wire.channel.gone;
  }

  /** Result sets of a simple query, which may hold several statements. */
  async query(sql: string, options: PqCommandOptions = {}): Promise<PqResult[]> {
    const results = await simpleQuery(this.#wire, sql, { operation: 'query', signal: options.signal });
    return results.map(textResult);
  }

  /** Bytes of a `COPY … TO STDOUT`, a page server's `basebackup`, …. To be read to the end, else the connection ends. */
  copyOut(sql: string, options: PqCommandOptions = {}): AsyncIterable<Uint8Array> {
    return copyOut(this.#wire, { sql, signal: options.signal });
  }

  /** A command that the server answers with CopyBoth, such as a page server's `pagestream_v3`. */
  async copyBoth(sql: string, options: PqCommandOptions = {}): Promise<CopyBoth> {
    return await startCopyBoth(this.#wire, { sql, signal: options.signal });
  }

  async identifySystem(options: PqCommandOptions = {}): Promise<SystemIdentification> {
    return await identifySystem(this.#wire, options.signal);
  }

  /** Value of a setting as text in the server's own units, such as `16MB`. */
  async show(name: string, options: PqCommandOptions = {}): Promise<string> {
    return await showSetting(this.#wire, name, options.signal);
  }

  async createPhysicalSlot(options: CreateSlotOptions): Promise<void> {
    await createPhysicalSlot(this.#wire, { ...options, major: this.serverMajor });
  }

  /** `wait`: until whoever uses the slot lets go of it. */
  async dropSlot(name: string, options: PqCommandOptions & { readonly wait?: boolean } = {}): Promise<void> {
    await dropSlot(this.#wire, { name, ...options });
  }

  /** Undefined where there is no such slot. From 15; `PQ_UNSUPPORTED` before. */
  async readSlot(name: string, options: PqCommandOptions = {}): Promise<ReplicationSlot | undefined> {
    return await readSlot(this.#wire, { name, ...options, major: this.serverMajor });
  }

  async timelineHistory(timeLineId: number, options: PqCommandOptions = {}): Promise<TimelineHistoryFile> {
    return await timelineHistory(this.#wire, { timeLineId, ...options });
  }

  /** WAL as it is written; the connection is taken until the stream ends. */
  async startPhysicalReplication(options: StartPhysicalReplicationOptions): Promise<WalStream> {
    return await startPhysicalReplication(this.#wire, options);
  }

  /** The connection is taken until `finish`. */
  async baseBackup(options: BaseBackupOptions = {}): Promise<BaseBackup> {
    return await startBaseBackup(this.#wire, { ...options, major: this.serverMajor });
  }

  /** Says good-bye and waits until the socket is closed; at most 5 s. */
  async close(): Promise<void> {
    this.#wire.channel.write(FRONTEND.Terminate);
    await this.#wire.channel.close(CLOSE_TIMEOUT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
