import type { StorageLocation } from './location.ts';
import { parseStorageUrl } from './parse-storage-url.ts';
import type { PluginRegistry } from './plugin-registry.ts';
import type { RetryEvent } from './retry-loop.ts';
import type { SettingsScope } from './settings.ts';
import { createSettingsScope } from './settings-scope.ts';
import type { Storage } from './storage.ts';
import { withConcurrencyLimit } from './with-concurrency-limit.ts';
import { withRateLimit } from './with-rate-limit.ts';
import { withReadOnly } from './with-read-only.ts';
import { withRetry } from './with-retry.ts';
import { withTimeout } from './with-timeout.ts';

/** Decorator settings of a remote storage that nobody asked to be otherwise. */
export const OPEN_STORAGE_DEFAULTS = {
  attemptsMax: 6,
  baseDelayMs: 200,
  delayMaxMs: 10_000,
  timeoutMs: 60_000,
  concurrencyMax: 64,
} as const;

export interface OpenStorageOptions {
  readonly role: SettingsScope['role'];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `read` makes every writing verb `STORAGE_UNSUPPORTED`. */
  readonly access: 'read' | 'write';
  readonly signal?: AbortSignal | undefined;
  /** What a relative bare path is relative to; default the working directory. */
  readonly baseDirectory?: string;
  readonly bytesPerSecondMax?: number;
  readonly concurrencyMax?: number;
  readonly attemptsMax?: number;
  readonly timeoutMs?: number;
  readonly onRetry?: (event: RetryEvent) => void;
  readonly warn?: (message: string) => void;
}

/**
 * Opens a URL or an already parsed location: loads the backend of its scheme, gives it the settings of the role, and
 * puts the usual decorators around it. A local file tree gets no timeout, retry and concurrency limit; a backend with
 * its own retries gets a timeout or a retry only where `timeoutMs` or `attemptsMax` is given.
 * Errors: `PluginError`, `StorageError`.
 */
export async function openStorage(
  registry: PluginRegistry,
  urlOrLocation: string | StorageLocation,
  options: OpenStorageOptions,
): Promise<Storage> {
  const location =
    typeof urlOrLocation === 'string'
      ? parseStorageUrl(urlOrLocation, baseDirectoryOf(options))
      : urlOrLocation;
  const plugin = await registry.load('storage', location.scheme);
  const settings = createSettingsScope({ role: options.role, env: options.env, warn: options.warn });
  const opened = await plugin.open(location, { settings, access: options.access, signal: options.signal });
  return decorate(opened, options, plugin.hasOwnRetries === true);
}

function baseDirectoryOf({ baseDirectory }: OpenStorageOptions): { readonly baseDirectory?: string } {
  return baseDirectory === undefined ? {} : { baseDirectory };
}

function decorate(opened: Storage, options: OpenStorageOptions, hasOwnRetries: boolean): Storage {
  const { attemptsMax, baseDelayMs, delayMaxMs, timeoutMs, concurrencyMax } = {
    ...OPEN_STORAGE_DEFAULTS,
    ...definedOnly(options),
  };
  let storage = opened;
  if (!opened.capability.fileTree) {
    // The limit goes around the timeout, so that waiting for a permit is not taken for a stalled storage.
    if (!hasOwnRetries || options.timeoutMs !== undefined) storage = withTimeout(storage, { timeoutMs });
    storage = withConcurrencyLimit(storage, { concurrencyMax });
    if (!hasOwnRetries || options.attemptsMax !== undefined) {
      const retry = { attemptsMax, baseDelayMs, delayMaxMs };
      storage = withRetry(
        storage,
        options.onRetry === undefined ? retry : { ...retry, onRetry: options.onRetry },
      );
    }
  }
  if (options.bytesPerSecondMax !== undefined) {
    storage = withRateLimit(storage, { bytesPerSecondMax: options.bytesPerSecondMax });
  }
  return options.access === 'read' ? withReadOnly(storage) : storage;
}

function definedOnly({ attemptsMax, timeoutMs, concurrencyMax }: OpenStorageOptions) {
  return {
    ...(attemptsMax === undefined ? {} : { attemptsMax }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(concurrencyMax === undefined ? {} : { concurrencyMax }),
  };
}
