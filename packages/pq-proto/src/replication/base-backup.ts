import type { ClientWire } from '../client/client-wire.ts';
import { type RawResult, readResult, sendQuery } from '../client/simple-query.ts';
import { parseDecimalText, UINT32_MAX, UINT64_MAX } from '../decimal-text.ts';
import { parseLsnText } from '../lsn-text.ts';

import { PqError, protocolError } from '../pq-error.ts';
import { ArchivesOfOneCopy } from './archives-of-one-copy.ts';
import { ArchivesOfSeveralCopies } from './archives-of-several-copies.ts';
import { type BaseBackupOptions, baseBackupCommand } from './base-backup-command.ts';
import type {
  BackupPartSource,
  BaseBackupPart,
  BaseBackupTablespace,
  WalPosition,
} from './base-backup-part.ts';
import { parseTimeLineId } from './replication-commands.ts';
import { uploadManifest } from './upload-manifest.ts';

const OPERATION = 'base backup';

export async function startBaseBackup(
  wire: ClientWire,
  options: BaseBackupOptions & { readonly major: number },
): Promise<BaseBackup> {
  const sql = baseBackupCommand(options, options.major);
  if (options.incrementalTo !== undefined)
    await uploadManifest(wire, { manifest: options.incrementalTo, signal: options.signal });
  const { release } = wire.acquire({ operation: OPERATION, signal: options.signal });
  try {
    sendQuery(wire, sql, OPERATION);
    const start = positionOf(await readResult(wire, OPERATION));
    const tablespaces = tablespacesOf(await readResult(wire, OPERATION));
    const source =
      options.major >= 15
        ? new ArchivesOfOneCopy({ wire, tablespaces, onProgress: options.onProgress })
        : new ArchivesOfSeveralCopies({ wire, tablespaces, manifest: options.manifest !== 'no' });
    return new BaseBackup({ wire, release, start, tablespaces, source });
  } catch (error) {
    release();
    throw wire.spoil(error, OPERATION);
  }
}

interface BaseBackupInit {
  readonly wire: ClientWire;
  readonly release: () => void;
  readonly start: WalPosition;
  readonly tablespaces: readonly BaseBackupTablespace[];
  readonly source: BackupPartSource;
}

/**
 * A base backup on its way: take the parts in order, each part's data before the next part, then call `finish`. Only
 * then is there a backup: the server reports bad checksums and missing WAL at the very end.
 */
export class BaseBackup implements AsyncDisposable {
  /** Where recovery of the backup starts. */
  readonly start: WalPosition;
  /** User tablespaces in the order of their archives; the data directory, without OID, is the last. */
  readonly tablespaces: readonly BaseBackupTablespace[];
  readonly #wire: ClientWire;
  readonly #release: () => void;
  readonly #source: BackupPartSource;
  #ended = false;

  constructor(init: BaseBackupInit) {
    this.start = init.start;
    this.tablespaces = init.tablespaces;
    this.#wire = init.wire;
    this.#release = init.release;
    this.#source = init.source;
  }

  /** Archives of the user tablespaces, the base archive, the manifest. What is not read of a part is read over. */
  async *parts(): AsyncGenerator<BaseBackupPart, void, void> {
    for (let part = await this.#nextPart(); part; part = await this.#nextPart()) yield part;
  }

  /** Where the WAL needed ends. Throws what the server reports at the end; parts not taken are read over. */
  async finish(): Promise<WalPosition> {
    while (await this.#nextPart());
    return await this.#guard(async () => {
      const end = positionOf(await readResult(this.#wire, OPERATION));
      while (await readResult(this.#wire, OPERATION));
      this.#end();
      return end;
    });
  }

  /** Ends the connection unless the backup is finished: the server cannot be told to stop otherwise. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#end();
    this.#wire.channel.destroy();
  }

  #nextPart(): Promise<BaseBackupPart | undefined> {
    return this.#guard(() => this.#source.nextPart());
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended)
      throw new PqError({
        code: 'PQ_INVALID_ARGUMENT',
        operation: OPERATION,
        message: 'the base backup has ended',
      });
    try {
      return await work();
    } catch (error) {
      this.#end();
      throw this.#wire.spoil(error, OPERATION);
    }
  }

  #end(): void {
    this.#ended = true;
    this.#release();
  }
}

function positionOf(result: RawResult | undefined): WalPosition {
  const [lsn, timeLineId] = result?.rows[0] ?? [];
  if (!lsn || !timeLineId)
    throw protocolError(OPERATION, 'the server does not give the WAL position of the backup');
  return {
    lsn: parseLsnText(lsn.toString('utf8')),
    timeLineId: parseTimeLineId(timeLineId.toString('utf8')),
  };
}

function tablespacesOf(result: RawResult | undefined): BaseBackupTablespace[] {
  const rows = result?.rows ?? [];
  if (rows.length === 0)
    throw protocolError(OPERATION, 'the server lists no tablespace, not even the data directory');
  return rows.map(([oid, location, size]) => ({
    oid: oid ? Number(parseDecimalText(oid.toString('utf8'), 'spcoid', UINT32_MAX)) : undefined,
    location: location ? location.toString('utf8') : undefined,
    sizeKiB: size ? parseDecimalText(size.toString('utf8'), 'size', UINT64_MAX) : undefined,
  }));
}
