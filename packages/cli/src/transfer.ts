import {
  copySnapshot,
  describeSource,
  type FormatOptions,
  type FormatPlugin,
  type SnapshotInfo,
  type WriteResult,
} from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError } from './cli-error.ts';
import { formatServices } from './services.ts';
import { concurrencyOf, type Session, type StorageRole } from './session.ts';

export interface TransferEnd {
  readonly format: FormatPlugin;
  readonly storage: Storage;
  readonly options: FormatOptions;
  readonly role: StorageRole;
}

export interface TransferOutcome {
  readonly info: SnapshotInfo;
  /** Absent with `--dry_run`. */
  readonly written?: WriteResult;
}

/** Moves one snapshot between two formats and storages; with `--dry_run` stops before the first byte is written. */
export async function transferSnapshot(
  session: Session,
  from: TransferEnd,
  to: TransferEnd,
): Promise<TransferOutcome> {
  assertDirections(from.format, to.format);
  const concurrency = concurrencyOf(session.args);
  const shared = { onProgress: session.onProgress, signal: session.signal, concurrency };
  await using reader = await from.format.openReader({
    ...shared,
    storage: from.storage,
    options: from.options,
    services: formatServices(session, from.role),
  });
  const writer = await to.format.openWriter({
    ...shared,
    storage: to.storage,
    options: to.options,
    services: formatServices(session, to.role),
    source: describeSource(reader, from.format.name),
  });
  if (session.args.boolean('dry_run')) {
    await writer.abort();
    return { info: reader.info };
  }
  return { info: reader.info, written: await copySnapshot({ ...shared, reader, writer }) };
}

function assertDirections(from: FormatPlugin, to: FormatPlugin): void {
  if (!from.capability.reads) {
    throw new CliError(
      'CLI_FORMAT_UNKNOWN',
      'open format',
      `the format ${from.name} can only be written, not read`,
    );
  }
  if (!to.capability.writes) {
    throw new CliError(
      'CLI_FORMAT_UNKNOWN',
      'open format',
      `the format ${to.name} can only be read, not written`,
    );
  }
}
