import type { FormatOptions, FormatPlugin, FormatServices } from '@neon-snapshot/format-core';
import type { OpenedStorage } from '@neon-snapshot/storage-conformance';

export interface FormatKitOptions {
  /** Heads the test names. */
  readonly name: string;
  readonly plugin: FormatPlugin;
  /** Gives a new, empty, independent location for every test. */
  readonly open: () => Promise<OpenedStorage>;
  /** Options that a write needs. */
  readonly writeOptions?: FormatOptions;
  /** Options that a read needs. */
  readonly readOptions?: FormatOptions;
  /** What a format gets injected beyond the clock and warnings; further locations do not exist. */
  readonly services?: Pick<FormatServices, 'acquireLease' | 'recover'>;
  /**
   * Files of the model that come back with other bytes or not at all, because the format makes them anew: `pg_wal/…` where it
   * moves the end of WAL. Default none.
   */
  readonly isMadeAnew?: (path: string) => boolean;
  /** Objects that a failed write may leave, for a later one to go on with. Default none. */
  readonly isLeftover?: (key: string) => boolean;
  /** Bytes that a write or a read may hold at a time, buffers of this thread. Default 96 MiB. */
  readonly memoryBytesMax?: number;
  /** Of the clusters, where the format holds not every size. Default 1 MiB. */
  readonly walSegmentSizeBytes?: number;
  /** Longest time a single test may take. Default 60,000. */
  readonly timeoutMs?: number;
}

export const MEMORY_BYTES_DEFAULT: number = 96 * 1024 * 1024;
export const TIMEOUT_MS_DEFAULT = 60_000;
