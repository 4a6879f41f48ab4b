import type { Storage } from '@neon-snapshot/storage-core';

/** One fresh, empty location of the storage under test. */
export interface OpenedStorage {
  readonly storage: Storage;
  /** Resolves when every change is visible: for a store whose capability says `consistency: 'eventual'`. */
  settle?(): Promise<void>;
  /** Removes everything that was stored; called once after the test. */
  cleanup(): Promise<void>;
}

export interface StorageKitOptions {
  /** Heads the test names. */
  readonly name: string;
  /** Gives a new, empty, independent location for every test. */
  readonly open: () => Promise<OpenedStorage>;
  /** Keys of the paging test; fewer only where a put is slow and pages are tested otherwise. Default 10,000. */
  readonly pagedKeyCount?: number;
  /** Size of the largest object: 5 GiB and more to meet the limits of one put and of one copy. Default 24 MiB and a bit. */
  readonly largeObjectBytes?: number;
  /** Longest time a single test may take; the paging test and a large object get more. Default 30,000. */
  readonly timeoutMs?: number;
}
