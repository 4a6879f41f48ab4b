import { copySnapshot, describeSource } from '@neon-snapshot/format-core';
import type { BuildDataDirectory } from '@neon-snapshot/pageserver-runner';
import type { RepositoryConfig } from '@neon-snapshot/repository';
import { DATA_DIRECTORY_FORMAT, STORAGE_DEST_FORMAT } from '../plugins.ts';
import { formatServices } from '../services.ts';
import { concurrencyOf, loadFormat, openLocation, type Session } from '../session.ts';

/**
 * Builds data directories of endpoints as `neon export` does, from the bucket, but on the timeline's own TimeLineID: Postgres goes
 * on writing the same WAL.
 */
export function dataDirectoryBuilder(session: Session, config: RepositoryConfig): BuildDataDirectory {
  return async ({ tenantId, timelineId, dataDirectory, signal = session.signal }) => {
    const neon = await loadFormat(session, STORAGE_DEST_FORMAT);
    const pgdata = await loadFormat(session, DATA_DIRECTORY_FORMAT);
    await using source = await openLocation(session, config.storage_dest, {
      role: 'storage',
      access: 'read',
    });
    await using destination = await openLocation(session, dataDirectory, {
      role: 'snapshot',
      access: 'write',
    });
    const shared = { onProgress: session.onProgress, signal, concurrency: concurrencyOf(session.args) };
    await using reader = await neon.openReader({
      ...shared,
      storage: source,
      options: { tenant_id: tenantId, timeline_id: timelineId, timeline_id_mode: 'continue' },
      services: formatServices(session, 'storage'),
      pagesVerifiedDownstream: pgdata.capability.verifiesPages === true,
    });
    const writer = await pgdata.openWriter({
      ...shared,
      storage: destination,
      options: {},
      services: formatServices(session, 'snapshot'),
      source: describeSource(reader, neon.name),
    });
    await copySnapshot({ ...shared, reader, writer });
    return { nextRecord: reader.info.previousRecordLsn ?? reader.info.lsn };
  };
}
