import { randomBytes } from 'node:crypto';
import type { FormatPlugin, WriteResult } from '@neon-snapshot/format-core';
import { initdbObjectKey } from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import { assertDeclaresConditionalPut } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from '../cli-error.ts';
import { makeCluster } from '../empty-cluster.ts';
import { openSourcePlace, type SourcePlace } from '../open-source.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { DATA_DIRECTORY_FORMAT, loadNeonFormat, STORAGE_DEST_FORMAT } from '../plugins.ts';
import {
  assertNoRepository,
  assertRepositoryOutside,
  createRepository,
  storageDestUrl,
} from '../repository.ts';
import { assertSeparatePlaces } from '../separate-places.ts';
import { loadFormat, openLocation, type Session } from '../session.ts';
import { savedStorageDest } from '../storage-dest-url.ts';
import { type TransferOutcome, transferSnapshot } from '../transfer.ts';
import { assertWritable } from '../writable-directory.ts';
import { assertWritersKeptApart } from '../writers-kept-apart.ts';

const NEW_CLUSTER_FLAGS = ['pg_version', 'superuser', 'locale', 'data_checksums'] as const;
const IMPORT_FLAGS = [
  'snapshot_format',
  'recover',
  'ignore_page_errors',
  'format_option',
  'checkpoint',
  'parents',
  'consistent',
] as const;

/** `neon init`: a new cluster, or the snapshot at `--snapshot_path`, becomes the first snapshot of `storage_dest`. */
export async function run(session: Session): Promise<CommandResult> {
  const destinationUrl = session.args.requiredString('storage_dest');
  assertFlagsFit(session);
  await assertNoRepository(session);
  await using destination = await openLocation(session, destinationUrl, {
    role: 'storage',
    access: 'write',
    bytesPerSecondMax: session.args.bytes('max_rate'),
  });
  if (session.args.boolean('dry_run')) await assertWritable(destination, 'init');
  if (!session.args.boolean('unsafe_no_lease')) assertDeclaresConditionalPut(destination);
  await assertNoTenant(session, destination);
  const { outcome, ids } = await importInto(session, destination);
  if (outcome.written !== undefined && ids !== undefined) {
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
  return describeOutcome(outcome, { ...ids, storageDest: await storageDestUrl(session) });
}

interface Ids {
  readonly tenantId: string;
  readonly timelineId: string;
}

interface ImportOutcome {
  readonly outcome: TransferOutcome;
  /** Of the timeline that was made; undefined where a dry run did not have to choose them. */
  readonly ids: Ids | undefined;
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

async function importInto(session: Session, destination: Storage): Promise<ImportOutcome> {
  const { args } = session;
  const path = args.string('snapshot_path');
  // An import gets its ids from the writer, which may be going on with one that was killed.
  const given = { tenantId: args.id('tenant_id'), timelineId: args.id('timeline') };
  if (path === undefined) {
    const ids = { tenantId: given.tenantId ?? randomId(), timelineId: given.timelineId ?? randomId() };
    return { outcome: await importNewCluster(session, destination, ids), ids };
  }
  await using source = await openSourcePlace(session, path);
  const { place, format } = source;
  if ('storage' in place) {
    assertSeparatePlaces(destination, place.storage);
    const rootPath = place.storage.fileTree?.rootPath;
    if (rootPath !== undefined) await assertRepositoryOutside(session, rootPath);
  }
  const outcome = await transfer(session, { place, format, destination, ids: given, isSnapshotPath: true });
  return { outcome, ids: writtenIds(outcome) ?? wholeIds(given) };
}

function writtenIds({ written }: TransferOutcome): Ids | undefined {
  if (written === undefined) return undefined;
  return { tenantId: String(written.facts.tenant_id), timelineId: String(written.facts.timeline_id) };
}

function wholeIds({ tenantId, timelineId }: ImportRequest['ids']): Ids | undefined {
  return tenantId === undefined || timelineId === undefined ? undefined : { tenantId, timelineId };
}

async function importNewCluster(session: Session, destination: Storage, ids: Ids): Promise<TransferOutcome> {
  await using cluster = await makeCluster(session);
  await using source = await openLocation(session, cluster.dataDirectory, {
    role: 'snapshot',
    access: 'read',
  });
  const format = await loadFormat(session, DATA_DIRECTORY_FORMAT);
  const archiveKey = initdbObjectKey(ids.tenantId, ids.timelineId);
  let isArchived = false;
  // When the writer has the right to write: another init of the same ids must not find its archive replaced.
  const beforePublish = async () => {
    isArchived = true;
    session.output.note(`storing ${archiveKey}`);
    const { writeInitdbArchive } = await loadNeonFormat();
    await writeInitdbArchive(destination, { ...ids, source, signal: session.signal });
  };
  try {
    return await transfer(session, {
      place: { storage: source },
      format,
      destination,
      ids,
      isSnapshotPath: false,
      beforePublish,
    });
  } catch (error) {
    // Not with the session's signal: an interrupted import has to clean up too.
    if (isArchived) {
      await destination.delete([archiveKey]).catch((cause: unknown) => {
        session.output.warn(`${archiveKey} could not be removed again: ${String(cause)}`);
      });
    }
    throw error;
  }
}

interface ImportRequest {
  readonly place: SourcePlace;
  readonly format: FormatPlugin;
  readonly destination: Storage;
  /** Those that were given. */
  readonly ids: { readonly tenantId: string | undefined; readonly timelineId: string | undefined };
  readonly isSnapshotPath: boolean;
  readonly beforePublish?: () => Promise<void>;
}

async function transfer(session: Session, request: ImportRequest): Promise<TransferOutcome> {
  const { place, format, destination, ids, isSnapshotPath, beforePublish } = request;
  const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
  const fixed = { tenant_id: ids.tenantId, timeline_id: ids.timelineId, sole_tenant: true };
  return transferSnapshot(
    session,
    {
      format,
      place,
      role: 'snapshot',
      isSnapshotPath,
      ...(beforePublish === undefined ? {} : { beforePublish }),
    },
    {
      format: neon,
      storage: destination,
      role: 'storage',
      isSnapshotPath: false,
      fixed,
      beforeWrite: () => assertWritersKeptApart(session, destination),
    },
  );
}

async function assertNoTenant(session: Session, destination: Storage): Promise<void> {
  const { listTenantIds } = await loadNeonFormat();
  const [first, ...others] = await listTenantIds(destination, { signal: session.signal });
  if (first === undefined) return;
  const url = await savedStorageDest(session, session.args.requiredString('storage_dest'));
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  throw new CliError(
    'CLI_DESTINATION_IN_USE',
    'init',
    `${destination.url} already holds tenant ${first}${more}; its snapshots: neon snapshot ls --storage_dest=${url}; the command that attaches it: neon start --storage_dest=${url}; to make a new cluster name another prefix`,
    { storageDest: url, tenantId: first },
  );
}

function randomId(): string {
  return randomBytes(16).toString('hex');
}

function describeOutcome(
  outcome: TransferOutcome,
  facts: Partial<Ids> & { readonly storageDest: string },
): CommandResult {
  const { info, written } = outcome;
  // Where a base backup ends may be known only when all of it was read.
  const lsn = String(written?.facts.lsn ?? formatLsn(info.lsn));
  const data = {
    ...facts,
    postgresMajor: info.postgresMajor,
    systemIdentifier: info.systemIdentifier.toString(),
    lsn,
    dryRun: written === undefined,
    ...(written === undefined
      ? {}
      : {
          bytesWritten: written.bytesWritten,
          objectsWritten: written.objectsWritten,
          layersReused: written.facts.layers_reused ?? 0,
        }),
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
          ...resumedLine(written),
          'next      neon start, or neon export --snapshot_path=DIRECTORY --snapshot_format=pgdata',
        ];
  return { command: 'init', lines, data };
}

/** What an interrupted import had stored already. */
function resumedLine({ facts }: WriteResult): string[] {
  const count = facts.layers_reused ?? 0;
  return count === 0 ? [] : [`resumed   ${count} of ${facts.layers} layers were stored already`];
}
