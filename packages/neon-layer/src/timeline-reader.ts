import type { Lsn } from '@neon-snapshot/postgres';
import type { KeyChain } from './key-chain.ts';
import type { KeyRange } from './key-range.ts';
import type { ReadOptions } from './layer-file.ts';
import type { BlobMemory, PageBatch } from './page-batch.ts';
import type { TimelineSource } from './timeline-source.ts';

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface PageReadOptions extends ReadOptions {
  /** Default: a new array each. */
  readonly memory?: BlobMemory | undefined;
}

/** A timeline at one LSN: every key's newest state at or below it. */
export interface TimelineReader {
  /** As the index says; of the first shard, where the tenant is sharded. */
  readonly source: TimelineSource;
  readonly lsn: Lsn;
  /**
   * The value of a key, or undefined where the timeline has none. Of a key in the sparse ranges an empty value is none.
   * A clog page may have 8200 bytes.
   */
  get(key: Uint8Array, options?: ReadOptions): Promise<Uint8Array | undefined>;
  /** What the value of a key is made from, or undefined where the timeline has none. */
  chain(key: Uint8Array, options?: ReadOptions): Promise<KeyChain | undefined>;
  /**
   * The values of keys that ascend strictly, in their order; undefined where the timeline has none. Indexes are walked
   * once and values that lie near each other come by one request.
   */
  getMany(keys: readonly Uint8Array[], options?: ReadOptions): Promise<readonly (Uint8Array | undefined)[]>;
  /** All keys of a range with their values, in key order, in groups of bounded size. */
  scan(range: KeyRange, options?: ReadOptions): AsyncGenerator<readonly KeyValue[]>;
  /**
   * The relation pages of a range as they are stored, in key order; all other keys are left out. What delta layers hold comes
   * with them, so that redo and decompression can go on in other threads.
   */
  readPages(range: KeyRange, options?: PageReadOptions): AsyncGenerator<PageBatch>;
  /** Frees what is held outside of the heap. */
  close(): void;
}
