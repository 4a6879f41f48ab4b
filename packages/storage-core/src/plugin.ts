import type { StorageLocation } from './location.ts';
import type { SettingsScope } from './settings.ts';
import type { Storage } from './storage.ts';

/** One setting of a backend, for documentation, validation and redaction. */
export interface SettingDescription {
  /** Environment name without role or `WALG_` prefix, e.g. `AWS_ENDPOINT`. */
  readonly name: string;
  /** Name in the URL's query, e.g. `endpoint`; absent when it can't stand there (every secret). */
  readonly urlOption?: string;
  readonly aliases?: readonly string[];
  readonly secret?: boolean;
  /** Settings of one group are taken from one scope as a whole, e.g. `credentials`. */
  readonly group?: string;
  readonly default?: string;
  readonly description: string;
}

export interface OpenStorageContext {
  /** Where settings come from, for the role that the location has. */
  readonly settings: SettingsScope;
  readonly access: 'read' | 'write';
  readonly signal?: AbortSignal | undefined;
}

/** What a `storage-*` package exports as `plugin`. */
export interface StoragePlugin {
  readonly kind: 'storage';
  /** Short name of the backend: `s3`, `fs`. */
  readonly name: string;
  /** URL schemes without `:`, lower case. */
  readonly schemes: readonly string[];
  readonly settings: readonly SettingDescription[];
  /**
   * True when the backend repeats and times out its own requests, which it can do more finely than whole calls:
   * `openStorage` then adds a retry or a timeout only where its caller asks for one.
   */
  readonly hasOwnRetries?: boolean;
  /** Opens the location. Loads its SDK here, not at import. Makes no network call that is not needed to open. */
  open(location: StorageLocation, context: OpenStorageContext): Promise<Storage>;
}

/** The part of a plugin that the registry needs; `format-core` extends it for formats. */
export interface PluginIdentity {
  readonly kind: string;
  readonly name: string;
}
