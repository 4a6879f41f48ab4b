import type { StorageCapability } from './capability.ts';

/**
 * The storage port: what every backend offers and every format uses.
 *
 * Keys are relative to the location that was opened: UTF-8, `/` separated, no leading or trailing `/`, no empty,
 * `.` or `..` segment. A key that ends in `/` is a directory marker and has an empty body.
 * Every method may reject with a `StorageError` and nothing else.
 */
export interface Storage extends AsyncDisposable {
  /** The opened location for messages; holds no secret. */
  readonly url: string;
  readonly capability: StorageCapability;

  /** Facts of one object. `STORAGE_NOT_FOUND` when there is none. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo>;

  /**
   * One object or a range of it. The returned body must be read to its end or returned early (`break`).
   * A body shorter than announced ends with `STORAGE_TRUNCATED`, never silently.
   */
  get(key: string, options?: GetOptions): Promise<GetResult>;

  /** Objects whose key starts with `prefix`, in byte order of the key, page by page. Never a partial listing. */
  list(options?: ListOptions): AsyncIterable<ListPage>;

  /**
   * Stores one object, atomically: it becomes visible whole and durable, or not at all.
   * An existing object is replaced unless a condition says otherwise.
   */
  put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult>;

  /** Deletes objects; a key that does not exist is no error. Any number of keys; batched as the backend allows. */
  delete(keys: readonly string[], options?: CallOptions): Promise<void>;

  /** Server-side copy inside this storage; present where `capability.serverSideCopy`. */
  copy?(from: string, to: string, options?: CallOptions): Promise<PutResult>;

  /** What only a file system has; present where `capability.fileTree`. */
  readonly fileTree?: FileTree;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Bytes `[offset, offset + length)`; to the end of the object without `length`. */
export interface ByteRange {
  readonly offset: number;
  readonly length?: number;
}

export interface GetOptions extends CallOptions {
  /**
   * A range that does not lie wholly inside the object is `STORAGE_TRUNCATED`. An empty range is inside up to and at the
   * end, and so is `offset` at the end without `length`: both give no bytes.
   */
  readonly range?: ByteRange;
}

export interface GetResult {
  /** `info.sizeBytes` is the size of the whole object, also for a range. */
  readonly info: ObjectInfo;
  /** Chunks owned by the receiver: the backend never touches a chunk again after it was yielded. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** Opaque version tag, for `ifMatch`. */
  readonly etag?: string;
  readonly modifiedAt?: Date;
  /** Permission bits, where `capability.fileTree`. */
  readonly mode?: number;
  /** Where a symbolic link points, as stored; links are listed, never followed. Only where `capability.fileTree`. */
  readonly linkTarget?: string;
}

export interface ListOptions extends CallOptions {
  readonly prefix?: string;
  /** With `/`: keys that have a further `/` after the prefix are folded into `prefixes`. */
  readonly delimiter?: '/';
  /** Only keys greater than this one. */
  readonly startAfter?: string;
}

export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  /** Folded prefixes, each with its trailing `/`; empty without `delimiter`. A prefix may recur on a later page only once. */
  readonly prefixes: readonly string[];
}

/**
 * An array that must not change until `put` has returned, or a stream whose producer may reuse a chunk as soon as the next
 * one is asked for. A stream is ended early (`return`) when the put fails; its own failure reaches the caller of `put`.
 */
export type PutBody = Uint8Array | AsyncIterable<Uint8Array>;

export interface PutOptions extends CallOptions {
  /** Only when no object has this key, else `STORAGE_ALREADY_EXISTS`. Needs `capability.conditionalPut.ifNoneMatch`. */
  readonly ifNoneMatch?: '*';
  /** Only when the object still has this etag, else `STORAGE_PRECONDITION_FAILED`. Needs `capability.conditionalPut.ifMatch`. */
  readonly ifMatch?: string;
  /** Size of a streamed body where it is known; a body of another size is `STORAGE_TRUNCATED` and nothing becomes visible. */
  readonly sizeBytes?: number;
  /** Permission bits; kept only where `capability.fileTree`. */
  readonly mode?: number;
  /** Leave the fsync to a later `fileTree.sync()`; only where `capability.fileTree`, ignored elsewhere. */
  readonly deferSync?: boolean;
}

export interface PutResult {
  readonly etag?: string;
  readonly sizeBytes: number;
}

/** The extra verbs of a storage that is a file system tree. Paths are keys; `''` is the root. */
export interface FileTree {
  /** Absolute path of the root on this machine. */
  readonly rootPath: string;
  /** Makes the directory and its missing parents; sets `mode` on it. No error when it exists. */
  makeDirectory(
    key: string,
    options: { readonly mode: number; readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
  /** Makes a symbolic link; an existing entry of that name is `STORAGE_ALREADY_EXISTS`. */
  makeLink(key: string, target: string, options?: CallOptions): Promise<void>;
  /** Makes everything put with `deferSync` durable: files, then directories. */
  sync(options?: CallOptions): Promise<void>;
  /** Bytes that this process may still write there. */
  freeBytes(options?: CallOptions): Promise<number>;
  /**
   * Writes small files that do not exist yet, many in one go; they become durable with `sync`. Unlike `put` not atomic: a file is
   * seen while it is written. A name that is taken is `STORAGE_ALREADY_EXISTS`. On a failure, the file that failed is not there;
   * those before it are. Absent where the storage has no faster way than puts.
   */
  writeFiles?(files: readonly NewFile[], options?: CallOptions): Promise<void>;
  /**
   * Reads small files whole, many in one go, into shared memory that holds all of them: parts of it, in the order asked for. Of
   * what cannot be read as a file of exactly the expected size there is nothing: `get` says why. Absent where the storage has no
   * faster way than gets.
   */
  readFiles?(
    files: readonly ExpectedFile[],
    /** `memory` is of a `SharedArrayBuffer`. */
    options: CallOptions & { readonly memory: Uint8Array },
  ): Promise<readonly (Uint8Array | undefined)[]>;
}

/** A file to be written by `writeFiles`; its bytes must not change until that has returned. */
export interface NewFile {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

/** A file to be read by `readFiles`. */
export interface ExpectedFile {
  readonly key: string;
  readonly sizeBytes: number;
}
