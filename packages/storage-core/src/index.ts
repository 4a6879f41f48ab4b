export type { StorageCapability } from './capability.ts';
export type { StorageLocation } from './location.ts';
export type { OpenStorageContext, PluginIdentity, SettingDescription, StoragePlugin } from './plugin.ts';
export type { SettingsScope } from './settings.ts';
export type {
  ByteRange,
  CallOptions,
  FileTree,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
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
