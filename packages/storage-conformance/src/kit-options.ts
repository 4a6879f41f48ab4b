import type { Storage } from '@neon-snapshot/storage-core';

/** One fresh, empty location of the storage under test. */
export interface OpenedStorage {
  readonly storage: Storage;
  /** Removes everything that was stored; called once after the test. */
  cleanup(): Promise<void>;
}

export interface StorageKitOptions {
  /** Heads the test names. */
  readonly name: string;
  /** Gives a new, empty, independent location for every test. */
  readonly open: () => Promise<OpenedStorage>;
  /** Keys of the paging test; above 1000 to cross a page of every known store. Default 1100. */
  readonly pagedKeyCount?: number;
  /** Longest time a single test may take. Default 30,000. */
  readonly timeoutMs?: number;
}
