import { randomBytes } from 'node:crypto';
import type { FormatPlugin } from '@neon-snapshot/format-core';
import { formatLsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from '../cli-error.ts';
import { type ClusterDirectory, makeCluster } from '../empty-cluster.ts';
import { formatOptions } from '../format-options.ts';
import type { CommandResult } from '../output/writer.ts';
import { DATA_DIRECTORY_FORMAT, loadNeonFormat, STORAGE_DEST_FORMAT } from '../plugins.ts';
import { assertNoRepository, createRepository } from '../repository.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { sourceFormat } from '../source-format.ts';
import { type TransferOutcome, transferSnapshot } from '../transfer.ts';

const NEW_CLUSTER_FLAGS = ['pg_version', 'superuser', 'locale'] as const;

/** `neon init`: a new cluster, or the snapshot at `--snapshot_path`, becomes the first snapshot of `storage_dest`. */
export async function run(session: Session): Promise<CommandResult> {
  const destinationUrl = session.args.requiredString('storage_dest');
  await assertNoRepository(session);
  const ids = { tenantId: idOf(session, 'tenant_id'), timelineId: idOf(session, 'timeline') };
  await using destination = await openLocation(session, destinationUrl, {
    role: 'storage',
    access: 'write',
    bytesPerSecondMax: session.args.bytes('max_rate'),
  });
  await assertNoTenant(session, destination, destinationUrl);
  const outcome = await importInto(session, destination, ids);
  if (outcome.written !== undefined) {
    await createRepository(session, {
      storageDest: destinationUrl,
      ...ids,
      pgVersion: outcome.info.postgresMajor,
    });
  }
  return describeOutcome(outcome, { ...ids, storageDest: destination.url });
}

interface Ids {
  readonly tenantId: string;
  readonly timelineId: string;
}

async function importInto(session: Session, destination: Storage, ids: Ids): Promise<TransferOutcome> {
  const path = session.args.string('snapshot_path');
  if (path === undefined) return importNewCluster(session, destination, ids);
  for (const flag of NEW_CLUSTER_FLAGS) {
    if (session.args.string(flag) !== undefined)
      throw usageError(`--${flag} is for a new cluster; an import takes it from --snapshot_path`);
  }
  await using source = await openLocation(session, path, { role: 'snapshot', access: 'read' });
  const format = await sourceFormat(session, source);
  return transfer(session, { source, format, destination, ids, isSnapshotPath: true });
}

async function importNewCluster(session: Session, destination: Storage, ids: Ids): Promise<TransferOutcome> {
  if (session.args.string('snapshot_format') !== undefined)
    throw usageError('--snapshot_format needs --snapshot_path');
  await using cluster: ClusterDirectory = await makeCluster(session);
  await using source = await openLocation(session, cluster.dataDirectory, {
    role: 'snapshot',
    access: 'read',
  });
  const format = await loadFormat(session, DATA_DIRECTORY_FORMAT);
  if (!session.args.boolean('dry_run')) {
    session.output.note('storing initdb.tar.zst');
    const { writeInitdbArchive } = await loadNeonFormat();
    await writeInitdbArchive(destination, { ...ids, source, signal: session.signal });
  }
  return transfer(session, { source, format, destination, ids, isSnapshotPath: false });
}

interface ImportRequest {
  readonly source: Storage;
  readonly format: FormatPlugin;
  readonly destination: Storage;
  readonly ids: Ids;
  readonly isSnapshotPath: boolean;
}

async function transfer(session: Session, request: ImportRequest): Promise<TransferOutcome> {
  const { args } = session;
  const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
  const fixed = { tenant_id: request.ids.tenantId, timeline_id: request.ids.timelineId };
  return transferSnapshot(
    session,
    {
      format: request.format,
      storage: request.source,
      options: formatOptions({
        format: request.format,
        direction: 'read',
        args,
        isSnapshotPath: request.isSnapshotPath,
      }),
      role: 'snapshot',
    },
    {
      format: neon,
      storage: request.destination,
      options: formatOptions({ format: neon, direction: 'write', args, isSnapshotPath: false, fixed }),
      role: 'storage',
    },
  );
}

async function assertNoTenant(session: Session, destination: Storage, url: string): Promise<void> {
  const { listTenantIds } = await loadNeonFormat();
  const tenants = await listTenantIds(destination, { signal: session.signal });
  const [first] = tenants;
  if (first === undefined) return;
  throw new CliError(
    'CLI_DESTINATION_IN_USE',
    'init',
    `${destination.url} already holds tenant ${first}${tenants.length > 1 ? ` and ${tenants.length - 1} more` : ''}; to use it here: neon start --storage_dest=${url}; to make a new cluster name another prefix`,
    { storageDest: destination.url, tenantId: first },
  );
}

function idOf(session: Session, flag: string): string {
  const given = session.args.string(flag);
  if (given === undefined) return randomBytes(16).toString('hex');
  if (!/^[0-9a-f]{32}$/.test(given))
    throw usageError(`--${flag} must be 32 lower-case hex digits, found ${given}`);
  return given;
}

function describeOutcome(
  outcome: TransferOutcome,
  facts: Ids & { readonly storageDest: string },
): CommandResult {
  const { info, written } = outcome;
  const lsn = formatLsn(info.lsn);
  const data = {
    ...facts,
    postgresMajor: info.postgresMajor,
    systemIdentifier: info.systemIdentifier.toString(),
    lsn,
    dryRun: written === undefined,
    ...(written === undefined
      ? {}
      : { bytesWritten: written.bytesWritten, objectsWritten: written.objectsWritten }),
  };
  const lines =
    written === undefined
      ? [
          `dry run: a Postgres ${info.postgresMajor} cluster at ${lsn} can be imported into ${facts.storageDest}; nothing was written`,
        ]
      : [
          `tenant    ${facts.tenantId}`,
          `timeline  ${facts.timelineId}`,
          `snapshot  Postgres ${info.postgresMajor} at ${lsn}, ${written.objectsWritten} objects, ${written.bytesWritten} bytes in ${facts.storageDest}`,
          'next      neon export --snapshot_path=DIRECTORY --snapshot_format=pgdata',
        ];
  return { command: 'init', lines, data };
}
