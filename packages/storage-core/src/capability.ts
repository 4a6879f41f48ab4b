/** What a backend can do, as data: checked before any I/O. What is not there is an error, never a silent no-op. */
export interface StorageCapability {
  readonly conditionalPut: { readonly ifNoneMatch: boolean; readonly ifMatch: boolean };
  readonly serverSideCopy: boolean;
  /** Directories, symbolic links, permission bits and fsync: the storage has `fileTree`. */
  readonly fileTree: boolean;
  /** A put is seen by the next get and list. */
  readonly consistency: 'strong' | 'eventual';
  readonly keyLengthMaxBytes: number;
  readonly objectSizeMaxBytes: number;
  /** False for a read-only location: `put` and `delete` are `STORAGE_UNSUPPORTED`. */
  readonly writable: boolean;
}
