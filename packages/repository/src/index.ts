export { type WriteFileAtomicOptions, writeFileAtomic } from './atomic-file.ts';
export { readConfig, readConfigIfAny, writeConfig } from './config-file.ts';
export type { RepositoryConfig, RepositoryConfigInput } from './config-schema.ts';
export { type AcquireLeaseOptions, acquireLease } from './lease/acquire-lease.ts';
export {
  type AssertConditionalPutOptions,
  assertConditionalPut,
  assertDeclaresConditionalPut,
} from './lease/assert-conditional-put.ts';
export type { LeaseClock } from './lease/lease-clock.ts';
export { createUnguardedLease } from './lease/unguarded-lease.ts';
export type { WriterLease } from './lease/writer-lease.ts';
export { isProcessRunning, processIdentity } from './process-identity.ts';
export type { BranchRef, SnapshotRef } from './refs/ref-record.ts';
export { type NamedRef, openRefs, type RefFolder, type Refs, type RefsOptions } from './refs/refs.ts';
export { assertNoRepository, initRepository, openRepository, type Repository } from './repository.ts';
export {
  isRepositoryError,
  RepositoryError,
  type RepositoryErrorCode,
  type RepositoryErrorOptions,
} from './repository-error.ts';
export { acquireLock, type LockHolder, type RepositoryLock, readLockHolder } from './repository-lock.ts';
export {
  type RepositoryDirectoryOptions,
  type RepositoryPaths,
  repositoryDirectory,
  repositoryPaths,
} from './repository-paths.ts';
