import { assertConditionalPut, isRepositoryError } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import type { Session } from './session.ts';

/** As `neon start` would find the store: better before gigabytes are imported. */
export async function assertWritersKeptApart(session: Session, storage: Storage): Promise<void> {
  const { args, output, signal } = session;
  try {
    await assertConditionalPut({ storage, directory: 'neon-snapshot', signal });
  } catch (error) {
    if (!isRepositoryError(error, 'REPOSITORY_LEASE_UNSUPPORTED') || !args.boolean('unsafe_no_lease'))
      throw error;
    if (storage.capability.conditionalPut.ifNoneMatch)
      output.warn(`${storage.url} ignores the conditions of puts: nothing notices another writer there`);
  }
}
