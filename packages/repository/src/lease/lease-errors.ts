import { RepositoryError } from '../repository-error.ts';
import type { LeaseRecord } from './lease-record.ts';

/** One clause for messages: who, since which generation, until when. */
function describeHolder({ holder, generation, expiresAt }: LeaseRecord): string {
  return `${holder.command} (pid ${holder.pid} on ${holder.host}, generation ${generation}, lease until ${expiresAt.toISOString()})`;
}

export function heldError(place: string, record: LeaseRecord): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_HELD',
    operation: 'acquire lease',
    message: `${place} is held by ${describeHolder(record)}, and there is one writer at a time; let it finish, wait until its lease has expired, or end its right to write with --take_over`,
    context: contextOf(place, record),
  });
}

export function foreignError(
  place: string,
  of: { readonly ownGeneration: number | undefined; readonly indexGeneration: number },
): RepositoryError {
  const { ownGeneration, indexGeneration } = of;
  const known =
    ownGeneration === undefined ? 'there is no lease' : `the last lease has generation ${ownGeneration}`;
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_FOREIGN',
    operation: 'acquire lease',
    message: `${place}: the newest index has generation ${indexGeneration}, and ${known}, so something that knows of no lease wrote it: a page server of Neon's may still be on it. Stop that, then end its right to write with --take_over`,
    context: { place, indexGeneration, ownGeneration },
  });
}

export function lostError(
  place: string,
  { own, found }: { readonly own: LeaseRecord; readonly found: LeaseRecord | undefined },
): RepositoryError {
  const by = found === undefined ? 'the object was deleted' : `it went to ${describeHolder(found)}`;
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_LOST',
    operation: 'renew lease',
    message: `${place} is no longer held by this process (generation ${own.generation}): ${by}; nothing more is written here`,
    context: found === undefined ? { place, ownGeneration: own.generation } : contextOf(place, found),
  });
}

export function expiredError(place: string, own: LeaseRecord, cause: unknown): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_LOST',
    operation: 'renew lease',
    message: `${place} could not be renewed before it expired at ${own.expiresAt.toISOString()}, so another process may write there now; nothing more is written here. Try again when the storage answers`,
    context: { place, ownGeneration: own.generation },
    cause,
  });
}

export function unsupportedLeaseError(url: string): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_UNSUPPORTED',
    operation: 'acquire lease',
    message: `${url} has no conditional put, or ignores its condition, so that nothing keeps two writers apart there; use another storage, or --unsafe_no_lease when there is surely no other writer`,
    context: { url },
  });
}

export function exhaustedError(place: string): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_INVALID',
    operation: 'acquire lease',
    message: `${place} has the highest generation that there is; copy the tenant to another prefix`,
    context: { place },
  });
}

function contextOf(place: string, { holder, generation, expiresAt }: LeaseRecord) {
  return {
    place,
    holderCommand: holder.command,
    holderHost: holder.host,
    holderPid: holder.pid,
    generation,
    expiresAt: expiresAt.toISOString(),
  };
}
