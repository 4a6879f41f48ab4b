import { closeSync, fstatSync } from 'node:fs';
import {
  assertValidPrefix,
  assertValidPut,
  assertValidRange,
  type CallOptions,
  type FileTree,
  type GetOptions,
  type GetResult,
  type ListOptions,
  type ListPage,
  type ObjectInfo,
  type PutBody,
  type PutOptions,
  type PutResult,
  resolveRange,
  type Storage,
  type StorageCapability,
  throwIfAborted,
} from '@neon-snapshot/storage-core';
import { deleteObjects } from './delete-objects.ts';
import { markerBody, putMarker } from './directory-marker.ts';
import { type FailedCall, notFoundError, translated } from './errors.ts';
import { FileBatchThread } from './file-batch-thread.ts';
import { createFileTree } from './file-tree.ts';
import { lstat, open, READ_FLAGS, readlink } from './fs-calls.ts';
import { FsRoot } from './fs-root.ts';
import { KeyedQueue } from './keyed-queue.ts';
import { listTree } from './list-tree.ts';
import { objectInfo } from './object-info.ts';
import { PendingSync } from './pending-sync.ts';
import { type PutPlace, putObject } from './put-object.ts';
import { readBody } from './read-body.ts';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export interface FsStorageOptions {
  /** Absolute path of the directory; it may be a symbolic link. */
  readonly rootPath: string;
  /** A missing root is no error: it is empty, and made by the first write. Default false. */
  readonly create?: boolean;
  /** Permission bits of objects put without a mode. Default 0600. */
  readonly fileMode?: number;
  /** Permission bits of directories made on the way. Default 0700. */
  readonly directoryMode?: number;
}

/**
 * A directory as a storage. `STORAGE_BUCKET_NOT_FOUND` when it does not exist (without `create`) or is a file.
 * Puts are atomic and durable; nothing outside the root is ever read or written, and links below it are not followed.
 */
export async function openFsStorage(options: FsStorageOptions): Promise<Storage> {
  const { rootPath, create = false, fileMode = FILE_MODE, directoryMode = DIRECTORY_MODE } = options;
  return new FsStorage(await FsRoot.open({ rootPath, create, directoryMode }), fileMode);
}

class FsStorage implements Storage {
  readonly url: string;
  readonly capability: StorageCapability;
  readonly fileTree: FileTree;
  readonly #root: FsRoot;
  readonly #thread = new FileBatchThread();
  readonly #putPlace: PutPlace;

  constructor(root: FsRoot, fileMode: number) {
    this.#root = root;
    const pending = new PendingSync(root.path);
    this.#putPlace = { root, pending, queue: new KeyedQueue(), fileMode };
    this.fileTree = createFileTree({ root, pending, thread: this.#thread });
    this.url = `file://${root.path}`;
    this.capability = {
      conditionalPut: { ifNoneMatch: true, ifMatch: true },
      serverSideCopy: false,
      fileTree: true,
      consistency: 'strong',
      keyLengthMaxBytes: root.keyLengthMaxBytes,
      objectSizeMaxBytes: Number.MAX_SAFE_INTEGER,
      writable: true,
    };
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo> {
    const call = await this.#callOn(key, 'head', options);
    return translated(call, async () => {
      const stats = await lstat(call.path, { bigint: true });
      if (key.endsWith('/') ? !stats.isDirectory() : !stats.isFile() && !stats.isSymbolicLink()) {
        throw notFoundError(call);
      }
      return objectInfo(key, stats, stats.isSymbolicLink() ? await readlink(call.path) : undefined);
    });
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertValidRange(options.range, key);
    if (key.endsWith('/')) return markerBody(await this.head(key, options), options);
    const call = await this.#callOn(key, 'get', options);
    const descriptor = await translated(call, () => open(call.path, READ_FLAGS));
    const { info, offset, end } = describeOpened(descriptor, { call, key, options });
    const body = await readBody({ descriptor, path: call.path, key, offset, end, signal: options.signal });
    return { info, body };
  }

  async *list(options: ListOptions = {}): AsyncIterable<ListPage> {
    assertValidPrefix(options.prefix ?? '');
    yield* listTree(this.#root, options);
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    const sizeBytes = body instanceof Uint8Array ? body.byteLength : undefined;
    assertValidPut({ url: this.url, capability: this.capability, key, sizeBytes, options });
    const path = this.#root.pathOf(key, 'put');
    if (key.endsWith('/')) return putMarker({ ...this.#putPlace, key, body, options });
    return putObject(this.#putPlace, { key, path, body, options });
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal, { operation: 'delete' });
    await deleteObjects(this.#root, keys, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }

  /** Checks the key, the signal and the way to it; a missing directory is a missing object. */
  async #callOn(key: string, operation: 'head' | 'get', { signal }: CallOptions): Promise<FailedCall> {
    const call = { operation, key, path: this.#root.pathOf(key, operation) };
    throwIfAborted(signal, call);
    if (!(await this.#root.checkDirectory(this.#root.parentOf(key), operation))) throw notFoundError(call);
    return call;
  }
}

/** Facts and range of an open file; closes it when it is no object or the range is not inside. */
function describeOpened(
  descriptor: number,
  { call, key, options }: { readonly call: FailedCall; readonly key: string; readonly options: GetOptions },
): { readonly info: ObjectInfo; readonly offset: number; readonly end: number } {
  try {
    // In the inode, which the open has brought into memory: not worth a trip to the thread pool.
    const stats = fstatSync(descriptor, { bigint: true });
    if (!stats.isFile()) throw notFoundError(call);
    throwIfAborted(options.signal, call);
    const info = objectInfo(key, stats);
    return { info, ...resolveRange({ key, range: options.range, sizeBytes: info.sizeBytes }) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}
