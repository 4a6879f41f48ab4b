import { booleanOption, FormatError, type ReadContext } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { type ClusterControl, readClusterControl } from './cluster-control.ts';
import { type DirectoryBackup, readBackup } from './open-backup.ts';
import { assertNotRunning, findInconsistency, notShutDownError } from './shutdown-state.ts';

/** A data directory that is consistent by itself, or with its WAL: the given one, or a recovered copy of it. */
export interface OpenDirectory {
  readonly storage: Storage;
  readonly control: ClusterControl;
  /** Of a base backup: it needs its WAL. */
  readonly backup?: DirectoryBackup | undefined;
}

const RECOVER_HINT = 'start and stop the server, or give --recover to recover a scratch copy';

/**
 * Checks that the directory may be read; with the option `recover` one that was not shut down cleanly, or is a base backup, is
 * recovered in a scratch copy first, which `resources` then owns. `FORMAT_RUNNING`, `FORMAT_NOT_SHUT_DOWN`, and the faults of pg_control.
 */
export async function openDirectory(
  context: ReadContext,
  resources: AsyncDisposable[],
): Promise<OpenDirectory> {
  const { storage } = context;
  const control = await readClusterControl(storage, context);
  await assertNotRunning(storage, context);
  const inconsistency = await findInconsistency(storage, control, context);
  if (inconsistency === undefined) return { storage, control };
  if (!booleanOption(context.options, 'recover', { fallback: false })) {
    const backup = await readBackup(context);
    if (backup !== undefined) return { storage, control, backup };
    throw notShutDownError(storage, inconsistency, RECOVER_HINT);
  }
  return recover(context, { control, inconsistency }, resources);
}

async function recover(
  context: ReadContext,
  source: { readonly control: ClusterControl; readonly inconsistency: string },
  resources: AsyncDisposable[],
): Promise<OpenDirectory> {
  const { services, signal } = context;
  const dataDirectory = context.storage.fileTree?.rootPath;
  if (services.recover === undefined || dataDirectory === undefined) {
    const hint =
      dataDirectory === undefined
        ? 'copy it to a local directory to have it recovered'
        : 'no Postgres may be started here to recover it';
    throw notShutDownError(context.storage, source.inconsistency, hint);
  }
  const { postgresMajor } = source.control;
  const copy = await services.recover({ dataDirectory, postgresMajor, signal });
  resources.push(copy);
  const storage = await services.openStorage(copy.dataDirectory, { access: 'read' });
  resources.push(storage);
  const control = await readClusterControl(storage, { signal });
  await assertUnchanged(context, source.control);
  const inconsistency = await findInconsistency(storage, control, { signal });
  if (inconsistency === undefined) return { storage, control };
  throw notShutDownError(context.storage, `after recovery ${inconsistency}`, 'see the log of the recovery');
}

/** A copy that was taken while a server wrote is worth nothing, however well its recovery went. */
async function assertUnchanged(context: ReadContext, before: ClusterControl): Promise<void> {
  await assertNotRunning(context.storage, context);
  const after = await readClusterControl(context.storage, context);
  if (Buffer.compare(after.bytes, before.bytes) === 0) return;
  throw new FormatError({
    code: 'FORMAT_RUNNING',
    operation: 'recover',
    message: `pg_control of ${context.storage.url} changed while it was copied: a server runs on it; stop it and start again`,
  });
}
