import { randomBytes } from 'node:crypto';
import type { FormatServices, RecoveredDirectory, RecoverRequest } from '@neon-snapshot/format-core';
import { openLocation, type Session, type StorageRole } from './session.ts';

/** What formats get injected: further locations, time, randomness, warnings and, where asked for, recovery by Postgres. */
export function formatServices(session: Session, role: StorageRole): FormatServices {
  return {
    openStorage: (url, { access }) => openLocation(session, url, { role, access }),
    recover: (request) => recoverInScratch(request),
    now: () => new Date(),
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    warn: (message) => session.output.warn(message),
  };
}

async function recoverInScratch(request: RecoverRequest): Promise<RecoveredDirectory> {
  const { findPostgres, recoverDataDirectory } = await import('@neon-snapshot/postgres-process');
  const installation = await findPostgres({ major: request.postgresMajor });
  return recoverDataDirectory({ dataDirectory: request.dataDirectory, installation, signal: request.signal });
}
