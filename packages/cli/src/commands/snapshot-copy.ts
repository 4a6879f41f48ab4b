import { formatLsn } from '@neon-snapshot/postgres';
import { openSourcePlace } from '../open-source.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { assertSeparatePlaces } from '../separate-places.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { type TransferOutcome, transferSnapshot } from '../transfer.ts';
import { assertWritable } from '../writable-directory.ts';

/**
 * `neon snapshot copy`: one snapshot, of any format and store or of a running server, to any other; no repository plays a part.
 * FROM is opened with the credentials of a snapshot_path, TO with those of a storage_dest.
 */
export async function run(session: Session): Promise<CommandResult> {
  const { args } = session;
  const from = args.requiredString('from');
  const to = args.requiredString('to');
  const format = await loadFormat(session, args.requiredString('to_format'));
  await using source = await openSourcePlace(session, from, { formatFlag: 'from_format' });
  await using destination = await openLocation(session, to, {
    role: 'storage',
    access: 'write',
    bytesPerSecondMax: args.bytes('max_rate'),
  });
  if ('storage' in source.place) assertSeparatePlaces(destination, source.place.storage);
  if (args.boolean('dry_run')) await assertWritable(destination, 'snapshot copy');
  // Of a bucket that is read; what is written into one gets ids of its own.
  const fixed = { tenant_id: args.id('tenant_id'), timeline_id: args.id('timeline') };
  const outcome = await transferSnapshot(
    session,
    { format: source.format, place: source.place, role: 'snapshot', isSnapshotPath: false, fixed },
    { format, storage: destination, role: 'storage', isSnapshotPath: true },
  );
  const url = 'storage' in source.place ? source.place.storage.url : 'the running server';
  return describe(outcome, {
    from: url,
    fromFormat: source.format.name,
    to: destination.url,
    toFormat: format.name,
  });
}

interface Places {
  readonly from: string;
  readonly fromFormat: string;
  readonly to: string;
  readonly toFormat: string;
}

function describe({ info, written }: TransferOutcome, places: Places): CommandResult {
  const { from, fromFormat, to, toFormat } = places;
  const isConsistent = info.consistency.kind === 'consistent';
  const what = `Postgres ${info.postgresMajor} at ${formatLsn(info.lsn)}`;
  const data = {
    ...places,
    postgresMajor: info.postgresMajor,
    systemIdentifier: info.systemIdentifier.toString(),
    lsn: formatLsn(info.lsn),
    consistent: isConsistent,
    dryRun: written === undefined,
  };
  if (written === undefined) {
    const line = `dry run: ${what} can be copied from ${from} (${fromFormat}) to ${to} (${toFormat}); nothing was written`;
    return { command: 'snapshot copy', lines: [line], data };
  }
  const { bytesWritten, objectsWritten, facts } = written;
  return {
    command: 'snapshot copy',
    lines: [
      `copied ${what} from ${from} (${fromFormat}) to ${to} (${toFormat}), ${objectsWritten} objects, ${formatBytes(bytesWritten)}`,
      ...(isConsistent ? [] : ['it needs the WAL that it carries: its first start is a recovery']),
    ],
    data: { ...data, bytesWritten, objectsWritten, written: facts },
  };
}
