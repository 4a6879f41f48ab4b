export { abortableItems } from './abortable-items.ts';
export {
  abortedError,
  assertValidPut,
  assertValidRange,
  type CallPlace,
  invalidOption,
  type PutCheck,
  resolveRange,
  sizeMismatchError,
  throwIfAborted,
  unsupportedError,
} from './call-checks.ts';
export type { StorageCapability } from './capability.ts';
export { forwardStorage } from './forward-storage.ts';
export { type PageListingOptions, pageListing } from './list-pages.ts';
export type { StorageLocation } from './location.ts';
export { createMemoryStorage, type MemoryStorageOptions } from './memory-storage.ts';
export { OPEN_STORAGE_DEFAULTS, type OpenStorageOptions, openStorage } from './open-storage.ts';
export { type ParseStorageUrlOptions, parseStorageUrl } from './parse-storage-url.ts';
export type { OpenStorageContext, PluginIdentity, SettingDescription, StoragePlugin } from './plugin.ts';
export { PluginError, type PluginErrorCode, type PluginErrorOptions } from './plugin-error.ts';
export {
  createPluginRegistry,
  type PluginListing,
  type PluginRegistration,
  type PluginRegistry,
} from './plugin-registry.ts';
export type { PluginKind } from './plugin-shape.ts';
export { type ReadAllOptions, readAll } from './read-all.ts';
export { createRedactor } from './redaction.ts';
export { type ResolveSettingsOptions, resolveSettings } from './resolve-settings.ts';
export type { RetryEvent, RetryOptions } from './retry-loop.ts';
export type { SettingsScope } from './settings.ts';
export { createSettingsScope, type SettingsScopeOptions } from './settings-scope.ts';
export type {
  ByteRange,
  CallOptions,
  ExpectedFile,
  FileTree,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  NewFile,
  ObjectInfo,
  PutBody,
  PutOptions,
  PutResult,
  Storage,
} from './storage.ts';
export {
  type ErrorContext,
  isStorageError,
  StorageError,
  type StorageErrorCode,
  type StorageErrorOptions,
  type StorageOperation,
} from './storage-error.ts';
export { assertValidKey, assertValidPrefix, compareKeys, type KeyCheck } from './storage-key.ts';
export { nearestName } from './suggestion.ts';
export { type ByteProgress, withByteProgress } from './with-byte-progress.ts';
export { withConcurrencyLimit } from './with-concurrency-limit.ts';
export { withPrefix } from './with-prefix.ts';
export { type RateLimitOptions, withRateLimit } from './with-rate-limit.ts';
export { withReadOnly } from './with-read-only.ts';
export { withRetry } from './with-retry.ts';
export { type TimeoutOptions, withTimeout } from './with-timeout.ts';
export { withoutBulkVerbs } from './without-bulk-verbs.ts';
