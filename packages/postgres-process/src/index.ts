export { type AmcheckOptions, type AmcheckProblem, type AmcheckReport, runAmcheck } from './amcheck.ts';
export {
  type ClusterChecksums,
  type ClusterChecksumsOptions,
  type DatabaseChecksums,
  tableChecksums,
} from './cluster-checksums.ts';
export { type CompareScansOptions, compareScans, type ScanComparison } from './compare-scans.ts';
export { type CopyTreeOptions, copyTree } from './copy-tree.ts';
export { listDatabases } from './databases.ts';
export {
  type DetachedStop,
  type StartDetachedPostgresOptions,
  type StopDetachedPostgresOptions,
  startDetachedPostgres,
  stopDetachedPostgres,
} from './detached-postgres.ts';
export {
  type FindPostgresOptions,
  findPostgres,
  type ListPostgresOptions,
  listPostgres,
} from './find-postgres.ts';
export { type InitdbOptions, initdb } from './initdb.ts';
export type { PostgresInstallation } from './installation.ts';
export { makeOwnedDirectory, makeRuntimeDirectory } from './ownership.ts';
export {
  isPostgresProcessError,
  PostgresProcessError,
  type PostgresProcessErrorCode,
  type PostgresProcessErrorOptions,
} from './postgres-process-error.ts';
export type { PostgresServer, StopMode, StopOptions } from './postgres-server.ts';
export { isServerRunning, type PostmasterPid, readPostmasterPid } from './postmaster-pid.ts';
export { assertReachable } from './reachable-path.ts';
export {
  type RecoverDataDirectoryOptions,
  type RecoveredDataDirectory,
  recoverDataDirectory,
  recoverInPlace,
} from './recover-data-directory.ts';
export type { ServerSettings } from './server-settings.ts';
export { type ServerUser, unprivilegedUser } from './server-user.ts';
export {
  type PostgresSession,
  type QueryOptions,
  type QueryRow,
  quoteIdentifier,
  quoteLiteral,
} from './session.ts';
export { runSingleUser, type SingleUserOptions } from './single-user.ts';
export { type StartPostgresOptions, startPostgres } from './start-postgres.ts';
