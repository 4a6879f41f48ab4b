import { formatLsn } from '@neon-snapshot/postgres';
import { usageError } from '../cli-error.ts';
import { formatOptions } from '../format-options.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { DATA_DIRECTORY_FORMAT, STORAGE_DEST_FORMAT } from '../plugins.ts';
import { timelineOf } from '../repository.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { transferSnapshot } from '../transfer.ts';

/** `neon export`: a snapshot of `storage_dest` into `--snapshot_path`, in any format that can be written. */
export async function run(session: Session): Promise<CommandResult> {
  const { args } = session;
  const path = args.requiredString('snapshot_path');
  const format = await loadFormat(session, args.string('snapshot_format') ?? DATA_DIRECTORY_FORMAT);
  const timeline = await timelineOf(session);
  if (path === timeline.storageDest)
    throw usageError('--snapshot_path is the storage_dest itself; name another place');
  await using source = await openLocation(session, timeline.storageDest, { role: 'storage', access: 'read' });
  await using destination = await openLocation(session, path, {
    role: 'snapshot',
    access: 'write',
    bytesPerSecondMax: args.bytes('max_rate'),
  });
  const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
  const fixed = { tenant_id: timeline.tenantId, timeline_id: timeline.timelineId };
  const { info, written } = await transferSnapshot(
    session,
    {
      format: neon,
      storage: source,
      options: formatOptions({ format: neon, direction: 'read', args, isSnapshotPath: false, fixed }),
      role: 'storage',
    },
    {
      format,
      storage: destination,
      options: formatOptions({ format, direction: 'write', args, isSnapshotPath: true }),
      role: 'snapshot',
    },
  );
  const lsn = formatLsn(info.lsn);
  const facts = {
    snapshotPath: destination.url,
    snapshotFormat: format.name,
    postgresMajor: info.postgresMajor,
    lsn,
  };
  if (written === undefined) {
    const line = `dry run: Postgres ${info.postgresMajor} at ${lsn} can be exported to ${destination.url} as ${format.name}; nothing was written`;
    return { command: 'export', lines: [line], data: { ...facts, dryRun: true } };
  }
  return {
    command: 'export',
    lines: [
      `exported Postgres ${info.postgresMajor} at ${lsn} to ${destination.url} (${format.name}, ${written.objectsWritten} files, ${formatBytes(written.bytesWritten)})`,
    ],
    data: {
      ...facts,
      ...written.facts,
      bytesWritten: written.bytesWritten,
      objectsWritten: written.objectsWritten,
      dryRun: false,
    },
  };
}
