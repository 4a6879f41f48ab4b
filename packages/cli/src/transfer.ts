import {
  copySnapshot,
  describeSource,
  type FormatOptions,
  type FormatPlugin,
  type SnapshotInfo,
  type SnapshotReader,
  type WriteResult,
} from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError } from './cli-error.ts';
import { assertFlagsAreUsed, formatOptions } from './format-options.ts';
import { openSource, type SourcePlace } from './open-source.ts';
import { STORAGE_DEST_FORMAT } from './plugins.ts';
import { formatServices } from './services.ts';
import { concurrencyOf, type Session, type StorageRole } from './session.ts';
import { assertHolds, unpackingNeed, unpackSource } from './unpacked-source.ts';

interface TransferSide {
  readonly format: FormatPlugin;
  readonly role: StorageRole;
  /** It lies at `--snapshot_path`: `--format_option` is meant for it. */
  readonly isSnapshotPath: boolean;
  /** Format options that the command itself decides. */
  readonly fixed?: FormatOptions;
}

/** Where a transfer reads. */
export interface TransferSource extends TransferSide {
  readonly place: SourcePlace;
  /** Runs when everything was copied and nothing is visible yet. */
  readonly beforePublish?: () => Promise<void>;
}

/** Where a transfer writes. */
export interface TransferTarget extends TransferSide {
  readonly storage: Storage;
  /** Runs when the source could be read and nothing was written yet; not with `--dry_run`. */
  readonly beforeWrite?: () => Promise<void>;
  /** Options that depend on what is read. */
  readonly fixedFor?: (source: SnapshotInfo) => FormatOptions;
}

export interface TransferOutcome {
  readonly info: SnapshotInfo;
  /** Absent with `--dry_run`. */
  readonly written?: WriteResult;
}

/** Moves one snapshot between two formats and storages; with `--dry_run` stops before the first byte is written. */
export async function transferSnapshot(
  session: Session,
  from: TransferSource,
  to: TransferTarget,
): Promise<TransferOutcome> {
  assertDirections(from.format, to.format);
  const { args } = session;
  const readSide = { ...from, direction: 'server' in from.place ? 'live' : 'read', args } as const;
  const writeSide = { ...to, direction: 'write', args } as const;
  assertFlagsAreUsed(args, [readSide, writeSide]);
  warnWithoutConditions(session, to);
  const shared = {
    onProgress: session.onProgress,
    signal: session.signal,
    concurrency: concurrencyOf(args),
  };
  const pagesVerifiedDownstream = to.format.capability.verifiesPages === true;
  await using opened = await openSource(from, {
    ...shared,
    env: session.env,
    options: formatOptions(readSide),
    services: formatServices(session, from.role),
    pagesVerifiedDownstream,
  });
  const need = unpackingNeed(opened, to.format.capability, { consistent: args.boolean('consistent') });
  if (need !== undefined) assertHolds(opened.info, to.format);
  if (need !== undefined && args.boolean('dry_run')) return { info: opened.info };
  await using unpacked =
    need === undefined
      ? undefined
      : await unpackSource(session, opened, { ...shared, need, from, pagesVerifiedDownstream });
  const reader = unpacked ?? opened;
  if (!args.boolean('dry_run')) await to.beforeWrite?.();
  const writer = await to.format.openWriter({
    ...shared,
    storage: to.storage,
    options: { ...formatOptions(writeSide), ...to.fixedFor?.(reader.info) },
    services: formatServices(session, to.role),
    source: describeSource(reader, from.format.name),
  });
  if (args.boolean('dry_run')) {
    await writer.abort();
    return { info: reader.info };
  }
  const whole = from.beforePublish === undefined ? reader : withEnding(reader, from.beforePublish);
  return { info: reader.info, written: await copySnapshot({ ...shared, reader: whole, writer }) };
}

/** The same snapshot, with something to be done before its trailer is given out. */
function withEnding(reader: SnapshotReader, beforeFinish: () => Promise<void>): SnapshotReader {
  return {
    info: reader.info,
    ...(reader.plan === undefined ? {} : { plan: reader.plan }),
    partitions: (countMax) => reader.partitions(countMax),
    async finish() {
      await beforeFinish();
      return reader.finish();
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

/** Two writers into one bucket are kept apart by conditional puts alone. */
function warnWithoutConditions(session: Session, { format, storage }: TransferTarget): void {
  if (format.name !== STORAGE_DEST_FORMAT || storage.capability.conditionalPut.ifNoneMatch) return;
  session.output.warn(
    `${storage.url} has no conditional put: nothing notices another writer there; make sure that there is none`,
  );
}

function assertDirections(from: FormatPlugin, to: FormatPlugin): void {
  if (!from.capability.reads) throw oneWay(`the format ${from.name} can only be written, not read`);
  if (!to.capability.writes) throw oneWay(`the format ${to.name} can only be read, not written`);
}

function oneWay(message: string): CliError {
  return new CliError('CLI_FORMAT_ONE_WAY', 'open format', message);
}
