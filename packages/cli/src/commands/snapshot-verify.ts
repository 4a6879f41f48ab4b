import {
  VerifyCollector,
  type VerifyFinding,
  type VerifyLevel,
  type VerifyReport,
  verifyStream,
} from '@neon-snapshot/format-core';
import { usageError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { assertFlagsAreUsed } from '../format-options.ts';
import type { CommandResult, JsonValue } from '../output/writer.ts';
import { STORAGE_DEST_FORMAT } from '../plugins.ts';
import { formatServices } from '../services.ts';
import { concurrencyOf, type Session } from '../session.ts';
import {
  openPlace,
  openSnapshotPlace,
  placeOptions,
  placeSide,
  placeUrl,
  type SnapshotPlace,
} from '../snapshot-place.ts';
import { checkRestore, type RestoreFacts } from '../verify/restore-check.ts';

/** `neon snapshot verify`: is everything there, does it decode, is every page one, does Postgres start on it? */
export async function run(session: Session): Promise<CommandResult> {
  await using place = await openSnapshotPlace(session);
  assertFlagsAreUsed(session.args, [placeSide(session, place)]);
  const level = session.args.string('level') ?? 'meta';
  assertRedoIsCompared(session, place, level);
  const collector = new VerifyCollector();
  const report = await verify(session, place, level === 'hash' || level === 'pages' ? level : 'meta');
  // A snapshot with holes is not worth a Postgres.
  const restored =
    level === 'restore' && report.errorCount === 0
      ? await checkRestore(session, place, collector)
      : undefined;
  return describe({ place, level, report: joined(report, collector.report()), restored });
}

/** Asking for a comparison that does not happen would be taken for its result. */
function assertRedoIsCompared(session: Session, { format }: SnapshotPlace, level: string): void {
  if (session.args.string('redo') !== 'stock') return;
  if (level !== 'pages') throw usageError(`--redo=stock is for --level=pages, found level ${level}`);
  if (format.name !== STORAGE_DEST_FORMAT)
    throw usageError(
      `--redo=stock is for a timeline; a snapshot in the format ${format.name} is not made from WAL`,
    );
}

async function verify(session: Session, of: SnapshotPlace, level: VerifyLevel): Promise<VerifyReport> {
  const { format, place, role } = of;
  const { onProgress, signal } = session;
  if ('storage' in place && format.verify !== undefined) {
    return format.verify({
      storage: place.storage,
      level,
      options: placeOptions(session, of),
      services: formatServices(session, role),
      onProgress,
      signal,
      concurrency: concurrencyOf(session.args),
      comparesRedo: session.args.string('redo') === 'stock',
    });
  }
  const collector = new VerifyCollector();
  await using reader = await openPlace(session, of);
  if (level !== 'meta')
    await verifyStream(reader, { collector, checkPages: level === 'pages', onProgress, signal });
  return collector.report();
}

function joined(a: VerifyReport, b: VerifyReport): VerifyReport {
  return {
    findings: [...a.findings, ...b.findings],
    errorCount: a.errorCount + b.errorCount,
    warningCount: a.warningCount + b.warningCount,
    counts: { ...a.counts, ...b.counts },
  };
}

function describe(outcome: {
  readonly place: SnapshotPlace;
  readonly level: string;
  readonly report: VerifyReport;
  readonly restored: RestoreFacts | undefined;
}): CommandResult {
  const { place, level, report, restored } = outcome;
  const url = placeUrl(place);
  const { findings, errorCount, warningCount, counts } = report;
  const unlisted = errorCount + warningCount - findings.length;
  const looked = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return {
    command: 'snapshot verify',
    lines: [
      ...findings.map(findingLine),
      ...(unlisted > 0 ? [`… ${unlisted} more`] : []),
      `${url} (${place.format.name}), level ${level}${looked.length === 0 ? '' : `: ${looked.join(', ')}`}`,
      ...(restored === undefined ? [] : restoredLines(restored)),
      errorCount === 0
        ? `nothing is wrong${warningCount === 0 ? '' : `, ${counted(warningCount, 'warning')}`}`
        : `${counted(errorCount, 'error')}, ${counted(warningCount, 'warning')}`,
    ],
    data: {
      url,
      snapshotFormat: place.format.name,
      level,
      sound: errorCount === 0,
      errors: errorCount,
      warnings: warningCount,
      findings: findings.map((each) => ({ ...each })),
      counts,
      ...(level === 'restore' ? { restored: restored ?? null } : {}),
    },
    ...(errorCount === 0 ? {} : { exitCode: EXIT_CODE.invalidData }),
  };
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function findingLine({ severity, code, message }: VerifyFinding): string {
  return `${severity} ${code}: ${message}`;
}

function restoredLines(facts: RestoreFacts): string[] {
  const { postgresVersion, heaps, btrees, gins, preparedTransactions, databases } = facts;
  const list = (Array.isArray(databases) ? databases : []) as readonly {
    readonly [key: string]: JsonValue;
  }[];
  return [
    `Postgres ${String(postgresVersion)} started on it; amcheck looked at ${String(heaps)} tables, ${String(btrees)} B-trees and ${String(gins)} GIN indexes`,
    ...(preparedTransactions === 0
      ? []
      : [`prepared transactions, rolled back there first: ${String(preparedTransactions)}`]),
    ...list.map(
      ({ name, tables, rows }) => `database ${String(name)}: ${String(tables)} tables, ${String(rows)} rows`,
    ),
  ];
}
