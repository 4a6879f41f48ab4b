import { FormatError, type FormatServices, type WriteContext } from '@neon-snapshot/format-core';
import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import type { WriteOptions } from '../options.ts';
import {
  CLAIM_KEY,
  decodeClaim,
  decodeJournal,
  type ImportIds,
  type ImportJournal,
  type ImportSource,
  isSameIds,
  isSameSource,
  JOURNAL_BYTES_MAX,
  journalKey,
  journalPrefix,
} from './import-journal.ts';

/** Which timeline an import makes, decided by reading alone. */
export interface ImportChoice extends ImportIds {
  /** Of an interrupted import of the same source, which this one continues. */
  readonly journal?: ImportJournal;
  /** The destination is claimed for this import, since no other tenant may be there. */
  readonly needsClaim: boolean;
  /** An interrupted import of something else that holds the claim. */
  readonly abandoned?: ImportIds;
}

interface Search {
  readonly context: WriteContext;
  readonly options: WriteOptions;
  readonly source: ImportSource;
}

/**
 * Finds the import to continue. Where the tenant was named, an interrupted import of another source into it is
 * `FORMAT_NOT_EMPTY`; where it was not, that one is left alone and a new tenant is made.
 */
export async function findImport(search: Search): Promise<ImportChoice> {
  const { context, options } = search;
  const needsClaim = options.isSoleTenant;
  const claim = needsClaim ? await readClaim(context.storage, context.signal) : undefined;
  const journal =
    options.tenantId === undefined
      ? await findClaimed(search, claim?.ids)
      : await findNamed(search, options.tenantId);
  const ids = journal ?? {
    tenantId: options.tenantId ?? randomId(context.services),
    timelineId: options.timelineId ?? randomId(context.services),
  };
  const isAbandoned = claim !== undefined && !isSameIds(claim.ids, ids);
  return {
    tenantId: ids.tenantId,
    timelineId: ids.timelineId,
    needsClaim,
    ...(journal === undefined ? {} : { journal }),
    ...(isAbandoned ? { abandoned: claim.ids } : {}),
  };
}

async function findNamed(search: Search, tenantId: string): Promise<ImportJournal | undefined> {
  const { storage, signal } = search.context;
  for await (const page of storage.list({ prefix: journalPrefix(tenantId), signal })) {
    for (const { key } of page.objects) {
      const journal = await readJournal(storage, key, signal);
      if (journal === undefined) continue;
      if (!isContinuedBy(journal, search)) throw otherImport(storage, journal);
      return journal;
    }
  }
  return undefined;
}

async function findClaimed(
  search: Search,
  claimed: ImportIds | undefined,
): Promise<ImportJournal | undefined> {
  if (claimed === undefined) return undefined;
  const { storage, signal } = search.context;
  const journal = await readJournal(storage, journalKey(claimed), signal);
  return journal !== undefined && isContinuedBy(journal, search) ? journal : undefined;
}

function isContinuedBy(journal: ImportJournal, { options, source }: Search): boolean {
  const isWanted = options.timelineId === undefined || options.timelineId === journal.timelineId;
  return isWanted && isSameSource(journal.source, source);
}

export interface StoredClaim {
  readonly ids: ImportIds;
  readonly etag: string | undefined;
}

export async function readClaim(
  storage: Storage,
  signal: AbortSignal | undefined,
): Promise<StoredClaim | undefined> {
  const found = await readSmall(storage, CLAIM_KEY, signal);
  return found && { ids: decodeClaim(found.bytes), etag: found.etag };
}

async function readJournal(
  storage: Storage,
  key: string,
  signal: AbortSignal | undefined,
): Promise<ImportJournal | undefined> {
  const found = await readSmall(storage, key, signal);
  return found && decodeJournal(found.bytes, key);
}

async function readSmall(storage: Storage, key: string, signal: AbortSignal | undefined) {
  try {
    const { info, body } = await storage.get(key, { signal });
    return { bytes: await readAll(body, { sizeMaxBytes: JOURNAL_BYTES_MAX, key }), etag: info.etag };
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function otherImport(storage: Storage, { tenantId, timelineId, source }: ImportJournal): FormatError {
  return new FormatError({
    code: 'FORMAT_NOT_EMPTY',
    operation: 'open writer',
    message: `${storage.url} has an unfinished import into tenant ${tenantId}, timeline ${timelineId}, of another source or another state of it (system identifier ${source.systemIdentifier} at ${source.lsn}); remove it with neon tenant delete --tenant_id=${tenantId}, or choose another --tenant_id`,
    context: { tenantId, timelineId },
  });
}

function randomId(services: FormatServices): string {
  return Buffer.from(services.randomBytes(16)).toString('hex');
}
