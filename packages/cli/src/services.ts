import {
  createFormatServices,
  type FormatServices,
  type OpenStockRedoRequest,
  type RecoveredDirectory,
  type RecoverRequest,
  type StockRedo,
} from '@neon-snapshot/format-core';
import { acquireLease } from '@neon-snapshot/repository';
import { openLocation, type Session, type StorageRole } from './session.ts';

/** What formats get injected: further locations, time, randomness, warnings, leases and recovery by Postgres. */
export function formatServices(session: Session, role: StorageRole): FormatServices {
  return createFormatServices({
    openStorage: (url, { access }) => openLocation(session, url, { role, access }),
    recover: recoverInScratch,
    openStockRedo,
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

/** What lies in Neon's layers is Neon's heap layout and hint bits not logged; checksums of pages there are stale. */
async function openStockRedo({ postgresMajor, signal }: OpenStockRedoRequest): Promise<StockRedo> {
  const { findPostgres } = await import('@neon-snapshot/postgres-process');
  const { openStockRedo: open } = await import('@neon-snapshot/wal-redo-stock');
  const installation = await findPostgres({ major: postgresMajor, prefer: 'system', signal });
  return open({ installation, dataChecksums: false, heapLayout: 'neon', hintBitsLogged: false, signal });
}
