import { FormatError, type SnapshotInfo } from '@neon-snapshot/format-core';
import { BLCKSZ, catalogVersionOf, lsn, SUPPORTED_MAJORS } from '@neon-snapshot/postgres';
import type { BaseBackup, PqConnection } from '@neon-snapshot/pq-proto';
import { TABLESPACE_DIRECTORY } from '../layout.ts';

/** What a server says of its cluster before a backup begins. */
export type ServerFacts = Pick<
  SnapshotInfo,
  | 'systemIdentifier'
  | 'postgresMajor'
  | 'catalogVersion'
  | 'dataChecksums'
  | 'walSegmentSizeBytes'
  | 'blockSizeBytes'
  | 'features'
>;

/** `FORMAT_UNSUPPORTED` for a major or a block size that is not known. */
export async function readServerFacts(
  connection: PqConnection,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<ServerFacts> {
  const major = connection.serverMajor;
  if (!SUPPORTED_MAJORS.some((known) => known === major)) {
    throw unsupported(`it is Postgres ${major}; supported are ${SUPPORTED_MAJORS.join(', ')}`);
  }
  const { systemIdentifier } = await connection.identifySystem({ signal });
  const show = (name: string) => connection.show(name, { signal });
  const blockSizeBytes = Number(await show('block_size'));
  if (blockSizeBytes !== BLCKSZ) throw unsupported(`its blocks have ${blockSizeBytes} bytes, not ${BLCKSZ}`);
  return {
    systemIdentifier,
    postgresMajor: major,
    catalogVersion: catalogVersionOf(major),
    dataChecksums: (await show('data_checksums')) === 'on',
    walSegmentSizeBytes: parseSize(await show('wal_segment_size')),
    blockSizeBytes,
    features: {
      replicationSlots: [],
      commitTimestamps: (await show('track_commit_timestamp')) === 'on',
      statistics: false,
    },
  };
}

/** The facts of the snapshot that a backup begins. */
export function infoOf(server: ServerFacts, backup: BaseBackup): SnapshotInfo {
  const fromLsn = lsn(backup.start.lsn);
  const tablespaces = backup.tablespaces.flatMap(({ oid, location }) =>
    oid === undefined ? [] : [{ oid, location: location ?? `${TABLESPACE_DIRECTORY}/${oid}` }],
  );
  const sizeKiB = backup.tablespaces.reduce((sum, tablespace) => sum + (tablespace.sizeKiB ?? 0n), 0n);
  return {
    ...server,
    lsn: fromLsn,
    timeLineId: backup.start.timeLineId,
    consistency: { kind: 'needs-wal', fromLsn },
    tablespaces: tablespaces.sort((a, b) => a.oid - b.oid),
    bytesTotal: Number(sizeKiB) * 1024,
  };
}

const UNITS: Readonly<Record<string, number>> = { kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** `16MB`, as SHOW prints sizes. */
function parseSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)(kB|MB|GB)$/.exec(text) ?? [];
  const factor = UNITS[unit];
  if (factor === undefined) throw unsupported(`its WAL segments have the size ${JSON.stringify(text)}`);
  return Number(digits) * factor;
}

function unsupported(what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'look at server',
    message: `the server cannot be backed up by this program: ${what}`,
  });
}
