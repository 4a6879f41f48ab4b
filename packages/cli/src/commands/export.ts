import type { FormatPlugin } from '@neon-snapshot/format-core';
import { formatLsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { DATA_DIRECTORY_FORMAT, STORAGE_DEST_FORMAT } from '../plugins.ts';
import { timelineOf } from '../repository.ts';
import { assertSeparatePlaces } from '../separate-places.ts';
import { pushWhatRuns } from '../server/push-what-runs.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { type TransferOutcome, transferSnapshot } from '../transfer.ts';
import { assertWritable } from '../writable-directory.ts';

/** `neon export`: a snapshot of `storage_dest` into `--snapshot_path`, in any format that can be written. */
export async function run(session: Session): Promise<CommandResult> {
  const { args } = session;
  const path = args.requiredString('snapshot_path');
  const format = await loadFormat(session, args.string('snapshot_format') ?? DATA_DIRECTORY_FORMAT);
  const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
  const timeline = await timelineOf(session);
  await pushWhatRuns(session, timeline);
  await using source = await openLocation(session, timeline.storageDest, { role: 'storage', access: 'read' });
  await using destination = await openLocation(session, path, {
    role: 'snapshot',
    access: 'write',
    bytesPerSecondMax: args.bytes('max_rate'),
  });
  assertSeparatePlaces(source, destination);
  if (args.boolean('dry_run')) await assertWritable(destination, 'export');
  const fixed = { tenant_id: timeline.tenantId, timeline_id: timeline.timelineId };
  const outcome = await transferSnapshot(
    session,
    { format: neon, place: { storage: source }, role: 'storage', isSnapshotPath: false, fixed },
    { format, storage: destination, role: 'snapshot', isSnapshotPath: true, fixed },
  );
  if (outcome.written !== undefined && format.name === DATA_DIRECTORY_FORMAT) noteOwner(session, destination);
  return describeOutcome(outcome, { destination, format });
}

/** Postgres refuses to run as root and to use a directory of another account. */
function noteOwner(session: Session, destination: Storage): void {
  const root = destination.fileTree?.rootPath;
  if (root === undefined || process.getuid?.() !== 0) return;
  session.output.note(`the files belong to root; before Postgres starts on them: chown -R postgres ${root}`);
}

function describeOutcome(
  { info, written }: TransferOutcome,
  { destination, format }: { readonly destination: Storage; readonly format: FormatPlugin },
): CommandResult {
  // The timeline is read where the export's shutdown checkpoint starts; WAL goes on where that record ends.
  const lsn = formatLsn(info.previousRecordLsn ?? info.lsn);
  const facts = {
    snapshotPath: destination.url,
    snapshotFormat: format.name,
    postgresMajor: info.postgresMajor,
    systemIdentifier: info.systemIdentifier.toString(),
    lsn,
    continuesAt: formatLsn(info.lsn),
    dryRun: written === undefined,
  };
  const what = `Postgres ${info.postgresMajor} at ${lsn}`;
  if (written === undefined) {
    const line = `dry run: ${what} can be exported to ${destination.url} (${format.name}); nothing was written`;
    return { command: 'export', lines: [line], data: facts };
  }
  return {
    command: 'export',
    lines: [
      `exported ${what} to ${destination.url} (${format.name}, ${written.objectsWritten} files, ${formatBytes(written.bytesWritten)})`,
    ],
    data: {
      ...facts,
      bytesWritten: written.bytesWritten,
      objectsWritten: written.objectsWritten,
      written: written.facts,
    },
  };
}
