import { PqError, type PqErrorCode, type PqServerFields } from './pq-error.ts';

/** SQLSTATE to code, errcodes.txt of Postgres. */
const CODES: Readonly<Record<string, PqErrorCode>> = {
  '28P01': 'PQ_AUTHENTICATION',
  '28000': 'PQ_AUTHENTICATION',
  '42501': 'PQ_NO_PRIVILEGE',
  '53300': 'PQ_TOO_MANY_CONNECTIONS',
  '57P01': 'PQ_NOT_READY',
  '57P02': 'PQ_NOT_READY',
  '57P03': 'PQ_NOT_READY',
};

/** Name of the operation of streaming WAL, in which a missing file is a removed segment. */
export const STREAM_WAL = 'stream WAL';

const NEXT_STEP: Partial<Record<PqErrorCode, string>> = {
  PQ_NO_PRIVILEGE: 'give the user the attribute REPLICATION, or what the server names',
  PQ_TOO_MANY_CONNECTIONS: 'raise max_wal_senders or max_connections, or end other connections',
  PQ_WAL_LEVEL: 'set wal_level to replica and max_wal_senders above 0, and restart the server',
  PQ_WAL_REMOVED: 'start from a newer base, or keep WAL with a replication slot',
};

export interface ServerErrorOptions {
  readonly fields: PqServerFields;
  readonly operation: string;
  readonly peer: string;
}

/** An ErrorResponse as an error, with the code by its SQLSTATE and the server's own words. */
export function serverError(options: ServerErrorOptions): PqError {
  const { fields, operation, peer } = options;
  const code = codeOf(fields, operation);
  const nextStep = nextStepOf(code, fields);
  const hint = fields.hint === undefined ? '' : ` (${fields.hint})`;
  return new PqError({
    code,
    operation,
    message: `${operation}: ${peer} says ${fields.severity} ${fields.code}: ${fields.message}${hint}${nextStep ? `; ${nextStep}` : ''}`,
    context: { peer, sqlState: fields.code },
    server: fields,
  });
}

function nextStepOf(code: PqErrorCode, { code: sqlState, message }: PqServerFields): string | undefined {
  if (code !== 'PQ_AUTHENTICATION') return NEXT_STEP[code];
  if (sqlState === '28P01') return 'check user and password (PGPASSWORD, the password file, or the URL)';
  // The name of the file is in every translation.
  return message.includes('pg_hba.conf')
    ? 'allow the user there, with a line of pg_hba.conf whose database is replication, or choose another sslmode'
    : undefined;
}

function codeOf(fields: PqServerFields, operation: string): PqErrorCode {
  // wal_level minimal forces max_wal_senders 0, so that a walsender is refused as "... max_wal_senders (currently 0)".
  if (fields.code === '53300' && /\(\D*\b0\)/.test(fields.message)) return 'PQ_WAL_LEVEL';
  // Messages are localised; the routine that reports it is not. do_pg_backup_start, do_pg_start_backup (14).
  if (fields.code === '55000' && /wal_level|WAL level/i.test(`${fields.message} ${fields.hint ?? ''}`))
    return 'PQ_WAL_LEVEL';
  // The same SQLSTATE stands for any missing file.
  if (fields.code === '58P01') return operation === STREAM_WAL ? 'PQ_WAL_REMOVED' : 'PQ_SERVER';
  return CODES[fields.code] ?? 'PQ_SERVER';
}
