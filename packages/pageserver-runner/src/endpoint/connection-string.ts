import type { EndpointState } from './endpoint-state.ts';

/** The role that the page server takes WAL with. */
export const REPLICATION_ROLE = 'neon_replication';
/** The replication slot that keeps WAL until the page server has it, and the name that it connects under. */
export const REPLICATION_SLOT = 'neon_pageserver';

export interface ConnectionPlace extends Pick<EndpointState, 'port' | 'superuser'> {
  readonly passfile: string;
}

/** A libpq connection string: the password is in the file that it names. */
export function connectionString(place: ConnectionPlace, database = 'postgres'): string {
  const user = encodeURIComponent(place.superuser ?? 'postgres');
  const passfile = encodeURIComponent(place.passfile);
  return `postgresql://${user}@127.0.0.1:${place.port}/${encodeURIComponent(database)}?passfile=${passfile}`;
}
