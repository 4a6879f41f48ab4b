import {
  type PostgresInstallation,
  quoteIdentifier,
  quoteLiteral,
  runSingleUser,
} from '@neon-snapshot/postgres-process';
import { REPLICATION_ROLE, REPLICATION_SLOT } from './connection-string.ts';
import { generatePasswords, readPassword, scramVerifier, writePassfile } from './passfile.ts';

export interface PrepareRolesOptions {
  readonly installation: PostgresInstallation;
  /** Built and never started. */
  readonly dataDirectory: string;
  readonly passfile: string;
  /** Name of the bootstrap superuser, if it is known from before. */
  readonly signal?: AbortSignal | undefined;
}

/** `BOOTSTRAP_SUPERUSERID` of catalog/pg_authid.dat: the superuser that initdb made, whatever its name is now. */
const BOOTSTRAP_SUPERUSER_OID = 10;

/** What the cluster's own settings might do to our few statements. */
const QUIET = {
  synchronous_standby_names: '',
  synchronous_commit: 'local',
  default_transaction_read_only: false,
  session_preload_libraries: '',
  shared_preload_libraries: '',
  log_statement: 'none',
  log_min_duration_statement: -1,
  log_min_error_statement: 'panic',
} as const;

/**
 * Gives the superuser and the replication role the passwords of the passfile (generated where it has none), and makes the slot
 * that keeps WAL for the page server: all before anybody can connect. Returns the superuser's name.
 */
export async function prepareRoles(options: PrepareRolesOptions): Promise<string> {
  const { installation, dataDirectory, signal } = options;
  const settings = { ...QUIET, max_replication_slots: 10, wal_level: 'replica', max_wal_senders: 10 };
  const generated = generatePasswords();
  const run = (statements: readonly string[]) =>
    runSingleUser({ installation, dataDirectory, statements, settings, database: 'template1', signal });
  const asked = await run([
    `SELECT rolname FROM pg_catalog.pg_authid WHERE oid = ${BOOTSTRAP_SUPERUSER_OID}`,
  ]);
  const superuser = /rolname = "(.*?)"\s+\(typeid/.exec(asked)?.[1] ?? 'postgres';
  const passwords = {
    superuser: (await readPassword(options.passfile, superuser)) ?? generated.superuser,
    replication: (await readPassword(options.passfile, REPLICATION_ROLE)) ?? generated.replication,
  };
  await writePassfile(options.passfile, { superuser, replication: REPLICATION_ROLE }, passwords);
  const role = quoteIdentifier(REPLICATION_ROLE);
  const verifier = (password: string) => quoteLiteral(scramVerifier(password));
  await run([
    `SELECT pg_catalog.pg_create_physical_replication_slot(${quoteLiteral(REPLICATION_SLOT)}, true)`,
    `ALTER ROLE ${quoteIdentifier(superuser)} PASSWORD ${verifier(passwords.superuser)}`,
    `DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_authid WHERE rolname = ${quoteLiteral(REPLICATION_ROLE)}) THEN CREATE ROLE ${role}; END IF; END$$`,
    `ALTER ROLE ${role} LOGIN REPLICATION PASSWORD ${verifier(passwords.replication)}`,
  ]);
  return superuser;
}
