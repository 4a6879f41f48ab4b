import {
  createFormatServices,
  type FormatServices,
  type RecoveredDirectory,
  type RecoverRequest,
} from '@neon-snapshot/format-core';
import { acquireLease } from '@neon-snapshot/repository';
import { openLocation, type Session, type StorageRole } from './session.ts';

/** What formats get injected: further locations, time, randomness, warnings, leases and recovery by Postgres. */
export function formatServices(session: Session, role: StorageRole): FormatServices {
  return createFormatServices({
    openStorage: (url, { access }) => openLocation(session, url, { role, access }),
    recover: recoverInScratch,
    acquireLease: (request) => acquireLease({ ...request, command: 'neon init' }),
    warn: (message) => session.output.warn(message),
  });
}

/** The machine's own Postgres is the likelier maker of the directory, and reads every compression that it wrote. */
async function recoverInScratch(request: RecoverRequest): Promise<RecoveredDirectory> {
  const { findPostgres, recoverDataDirectory } = await import('@neon-snapshot/postgres-process');
  const { signal } = request;
  const installation = await findPostgres({ major: request.postgresMajor, prefer: 'system', signal });
  return recoverDataDirectory({ dataDirectory: request.dataDirectory, installation, signal });
}
