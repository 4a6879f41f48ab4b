import { randomBytes } from 'node:crypto';
import type { FormatPlugin } from '@neon-snapshot/format-core';
import { initdbObjectKey } from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from '../cli-error.ts';
import { makeCluster } from '../empty-cluster.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { DATA_DIRECTORY_FORMAT, loadNeonFormat, STORAGE_DEST_FORMAT } from '../plugins.ts';
import { assertNoRepository, createRepository } from '../repository.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { sourceFormat } from '../source-format.ts';
import { savedStorageDest } from '../storage-dest-url.ts';
import { type TransferOutcome, transferSnapshot } from '../transfer.ts';

const NEW_CLUSTER_FLAGS = ['pg_version', 'superuser', 'locale', 'data_checksums'] as const;
const IMPORT_FLAGS = ['snapshot_format', 'recover', 'ignore_page_errors', 'format_option'] as const;

/** `neon init`: a new cluster, or the snapshot at `--snapshot_path`, becomes the first snapshot of `storage_dest`. */
export async function run(session: Session): Promise<CommandResult> {
  const destinationUrl = session.args.requiredString('storage_dest');
  assertFlagsFit(session);
  const ids = {
    tenantId: session.args.id('tenant_id') ?? randomId(),
    timelineId: session.args.id('timeline') ?? randomId(),
  };
  await assertNoRepository(session);
  await using destination = await openLocation(session, destinationUrl, {
    role: 'storage',
    access: 'write',
    bytesPerSecondMax: session.args.bytes('max_rate'),
  });
  await assertNoTenant(session, destination);
  const outcome = await importInto(session, destination, ids);
  if (outcome.written !== undefined) {
    try {
      await createRepository(session, {
        storageDest: await savedStorageDest(session, destinationUrl),
        ...ids,
        postgresMajor: outcome.info.postgresMajor,
      });
    } catch (error) {
      session.output.warn(
        `the snapshot is complete in ${destination.url} (tenant ${ids.tenantId}, timeline ${ids.timelineId}) and can be used with --storage_dest, but its repository was not made`,
      );
      throw error;
    }
  }
  return describeOutcome(outcome, { ...ids, storageDest: destination.url });
}

interface Ids {
  readonly tenantId: string;
  readonly timelineId: string;
}

function assertFlagsFit({ args }: Session): void {
  const isImport = args.string('snapshot_path') !== undefined;
  for (const flag of isImport ? NEW_CLUSTER_FLAGS : IMPORT_FLAGS) {
    if (!args.has(flag)) continue;
    throw usageError(
      isImport
        ? `--${flag} is for a new cluster; an import takes it from --snapshot_path`
        : `--${flag} is for an import; it needs --snapshot_path`,
    );
  }
}

async function importInto(session: Session, destination: Storage, ids: Ids): Promise<TransferOutcome> {
  const path = session.args.string('snapshot_path');
  if (path === undefined) return await importNewCluster(session, destination, ids);
  await using source = await openLocation(session, path, { role: 'snapshot', access: 'read' });
  const format = await sourceFormat(session, source);
  return await transfer(session, { source, format, destination, ids, isSnapshotPath: true });
}

async function importNewCluster(session: Session, destination: Storage, ids: Ids): Promise<TransferOutcome> {
  await using cluster = await makeCluster(session);
  await using source = await openLocation(session, cluster.dataDirectory, {
    role: 'snapshot',
    access: 'read',
  });
  const format = await loadFormat(session, DATA_DIRECTORY_FORMAT);
  const request = { source, format, destination, ids, isSnapshotPath: false };
  if (session.args.boolean('dry_run')) return await transfer(session, request);
  const archiveKey = initdbObjectKey(ids.tenantId, ids.timelineId);
  try {
    session.output.note(`storing ${archiveKey}`);
    const { writeInitdbArchive } = await loadNeonFormat();
    await writeInitdbArchive(destination, { ...ids, source, signal: session.signal });
    return await transfer(session, request);
  } catch (error) {
    // Not with the session's signal: an interrupted import has to clean up too.
    await destination.delete([archiveKey]).catch((cause: unknown) => {
      session.output.warn(`${archiveKey} could not be removed again: ${String(cause)}`);
    });
    throw error;
  }
}

interface ImportRequest {
  readonly source: Storage;
  readonly format: FormatPlugin;
  readonly destination: Storage;
  readonly ids: Ids;
  readonly isSnapshotPath: boolean;
}

async function transfer(session: Session, request: ImportRequest): Promise<TransferOutcome> {
  const { source, format, destination, ids, isSnapshotPath } = request;
  const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
  const fixed = { tenant_id: ids.tenantId, timeline_id: ids.timelineId };
  return transferSnapshot(
    session,
    { format, storage: source, role: 'snapshot', isSnapshotPath },
    { format: neon, storage: destination, role: 'storage', isSnapshotPath: false, fixed },
  );
}

async function assertNoTenant(session: Session, destination: Storage): Promise<void> {
  const { listTenantIds } = await loadNeonFormat();
  const [first, ...others] = await listTenantIds(destination, { signal: session.signal });
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  throw new CliError(
    'CLI_DESTINATION_IN_USE',
    'init',
    `${destination.url} already holds tenant ${first}${more}; to use it here: neon start --storage_dest=${destination.url}; to make a new cluster name another prefix`,
    { storageDest: destination.url, tenantId: first },
  );
}

function randomId(): string {
  return randomBytes(16).toString('hex');
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
          `snapshot  Postgres ${info.postgresMajor} at ${lsn}, ${written.objectsWritten} objects, ${formatBytes(written.bytesWritten)} in ${facts.storageDest}`,
          'next      neon export --snapshot_path=DIRECTORY --snapshot_format=pgdata',
        ];
  return { command: 'init', lines, data };
}
