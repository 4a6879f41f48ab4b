import {
  type GetOptions,
  type GetResult,
  resolveRange,
  type Storage,
  withReadOnly,
} from '@neon-snapshot/storage-core';
import { CachedFiles } from './cached-files.ts';
import { FileHandles } from './file-handles.ts';

/** Layers that are fetched at once. */
const DOWNLOADS_MAX = 4;
/** Longer ranges are handed out in pieces of this size. */
const PIECE_BYTES = 1024 * 1024;

export interface LayerCacheOptions {
  readonly storage: Storage;
  /** Made where it is missing. */
  readonly directory: string;
  /** Pinned layers may exceed it. */
  readonly sizeMaxBytes: number;
  /** The local disk failed: reads go on without the cache. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

interface CachedLayer {
  readonly sizeBytes: number;
  /** Not in the storage yet. */
  isPinned: boolean;
  /** Where the disk would not take it. */
  readonly chunks: readonly Uint8Array[] | undefined;
}

/**
 * Whole layers on the local disk: fetched when they are first read, by one request for all who wait; written by the way when they are
 * made. The longest unused ones go when it is full. Objects that are no layers are left to the storage.
 */
export class LayerCache {
  /** Reads layers from here first. Writes nothing. */
  readonly storage: Storage;
  readonly #remote: Storage;
  readonly #files: CachedFiles;
  readonly #handles = new FileHandles();
  readonly #options: LayerCacheOptions;
  /** The longest unused first. */
  readonly #layers = new Map<string, CachedLayer>();
  readonly #downloads = new Map<string, Promise<boolean>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #sizeBytes = 0;
  #memoryBytes = 0;
  #hits = 0;
  #misses = 0;

  static async open(options: LayerCacheOptions): Promise<LayerCache> {
    const cache = new LayerCache(options);
    try {
      for (const { key, sizeBytes } of await cache.#files.scan()) cache.#enter(key, { sizeBytes });
      await cache.#trim();
    } catch (error) {
      options.onFailure?.(error);
    }
    return cache;
  }

  private constructor(options: LayerCacheOptions) {
    this.#options = options;
    this.#remote = options.storage;
    this.#files = new CachedFiles(options.directory);
    // Without the bulk verbs and the file tree of the storage below: they would pass by the cache.
    const { fileTree: _, ...readOnly } = withReadOnly(options.storage);
    this.storage = { ...readOnly, get: (key, call) => this.#get(key, call) };
  }

  get facts(): {
    readonly sizeBytes: number;
    readonly layerCount: number;
    readonly hits: number;
    readonly misses: number;
  } {
    return {
      sizeBytes: this.#sizeBytes,
      layerCount: this.#layers.size,
      hits: this.#hits,
      misses: this.#misses,
    };
  }

  /** Layers that the disk did not take and that are not in the storage yet. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Whether a layer has a local copy. */
  holds(key: string): boolean {
    return this.#layers.has(key);
  }

  /** What an index says of a layer: a file of another size is none of it. */
  async expect(key: string, sizeBytes: number): Promise<void> {
    const layer = this.#layers.get(key);
    if (layer !== undefined && layer.sizeBytes !== sizeBytes) await this.remove(key);
  }

  /** Adds a layer that was just made. It stays until `unpin`; where the disk takes no more, in memory. */
  async add(key: string, chunks: readonly Uint8Array[]): Promise<void> {
    try {
      const sizeBytes = await this.#files.write(key, chunks);
      this.#enter(key, { sizeBytes, isPinned: true });
    } catch (error) {
      this.#options.onFailure?.(error);
      const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0);
      this.#enter(key, { sizeBytes, isPinned: true, chunks });
    }
    await this.#trim();
  }

  /** The layer is in the storage now. */
  unpin(key: string): void {
    const layer = this.#layers.get(key);
    if (layer === undefined) return;
    layer.isPinned = false;
    if (layer.chunks !== undefined) this.#forget(key);
  }

  /** The bytes of a layer that was added, for the put: any number of times. */
  async *chunksOf(key: string): AsyncGenerator<Uint8Array> {
    const layer = this.#layers.get(key);
    if (layer?.chunks !== undefined) {
      yield* layer.chunks;
      return;
    }
    const sizeBytes = layer?.sizeBytes ?? 0;
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, sizeBytes - offset);
      yield await this.#handles.read(this.#files.pathOf(key), offset, length);
    }
  }

  /** Removes a layer that no index lists any more. */
  async remove(key: string): Promise<void> {
    this.#forget(key);
    await this.#files.remove(key).catch((error: unknown) => this.#options.onFailure?.(error));
  }

  close(): void {
    this.#handles.close();
  }

  async #get(key: string, call: GetOptions = {}): Promise<GetResult> {
    if (!isLayerKey(key)) return this.#remote.get(key, call);
    if (this.#layers.has(key)) this.#hits += 1;
    else {
      this.#misses += 1;
      if (!(await this.#download(key))) return this.#remote.get(key, call);
    }
    return (await this.#read(key, call)) ?? this.#remote.get(key, call);
  }

  /** From the disk; undefined where that fails: the layer is then no longer there. */
  async #read(key: string, { range }: GetOptions): Promise<GetResult | undefined> {
    const layer = this.#layers.get(key);
    if (layer === undefined) return undefined;
    this.#layers.delete(key);
    this.#layers.set(key, layer);
    const { offset, end } = resolveRange({ key, range, sizeBytes: layer.sizeBytes });
    const info = { key, sizeBytes: layer.sizeBytes };
    if (layer.chunks !== undefined) return { info, body: asBody([rangeOf(layer.chunks, offset, end)]) };
    const path = this.#files.pathOf(key);
    try {
      const first = await this.#handles.read(path, offset, Math.min(end - offset, PIECE_BYTES));
      return { info, body: this.#pieces(key, { first, offset, end }) };
    } catch (error) {
      if (layer.isPinned) throw error;
      this.#options.onFailure?.(error);
      await this.remove(key);
      return undefined;
    }
  }

  /** A range from the disk; the rest of it from the storage where the file goes meanwhile. */
  async *#pieces(
    key: string,
    of: { readonly first: Uint8Array; readonly offset: number; readonly end: number },
  ): AsyncGenerator<Uint8Array> {
    yield of.first;
    const path = this.#files.pathOf(key);
    for (let offset = of.offset + of.first.length; offset < of.end; ) {
      const length = Math.min(PIECE_BYTES, of.end - offset);
      const piece = await this.#handles.read(path, offset, length).catch(() => undefined);
      if (piece === undefined) {
        const { body } = await this.#remote.get(key, { range: { offset, length: of.end - offset } });
        yield* body;
        return;
      }
      yield piece;
      offset += length;
    }
  }

  /** False where the disk does not take it. Throws what the storage throws. One that several wait for has no signal. */
  #download(key: string): Promise<boolean> {
    const running = this.#downloads.get(key);
    if (running !== undefined) return running;
    const download = this.#inTurn(() => this.#fetch(key)).finally(() => this.#downloads.delete(key));
    this.#downloads.set(key, download);
    return download;
  }

  async #fetch(key: string): Promise<boolean> {
    const { info, body } = await this.#remote.get(key);
    let remoteError: unknown;
    const watched = (async function* () {
      try {
        yield* body;
      } catch (error) {
        remoteError = error;
        throw error;
      }
    })();
    try {
      const sizeBytes = await this.#files.write(key, watched);
      if (sizeBytes !== info.sizeBytes) {
        await this.#files.remove(key);
        return false;
      }
      this.#enter(key, { sizeBytes });
    } catch (error) {
      if (remoteError !== undefined) throw remoteError;
      this.#options.onFailure?.(error);
      return false;
    }
    await this.#trim();
    return true;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running >= DOWNLOADS_MAX) await new Promise<void>((wake) => this.#waiting.push(wake));
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  #enter(key: string, layer: Partial<CachedLayer> & Pick<CachedLayer, 'sizeBytes'>): void {
    this.#forget(key);
    this.#layers.set(key, { isPinned: false, chunks: undefined, ...layer });
    this.#sizeBytes += layer.sizeBytes;
    if (layer.chunks !== undefined) this.#memoryBytes += layer.sizeBytes;
  }

  #forget(key: string): void {
    const layer = this.#layers.get(key);
    if (layer === undefined) return;
    this.#layers.delete(key);
    this.#sizeBytes -= layer.sizeBytes;
    if (layer.chunks !== undefined) this.#memoryBytes -= layer.sizeBytes;
    this.#handles.drop(this.#files.pathOf(key));
  }

  async #trim(): Promise<void> {
    for (const [key, layer] of [...this.#layers]) {
      if (this.#sizeBytes <= this.#options.sizeMaxBytes) return;
      if (!layer.isPinned && this.#layers.has(key)) await this.remove(key);
    }
  }
}

/** Layers are the objects of a timeline whose name is a key range and LSNs. */
function isLayerKey(key: string): boolean {
  return /\/timelines\/[0-9a-f]{32}\/[0-9A-F]{36}-[0-9A-F]{36}__/.test(key);
}

function rangeOf(chunks: readonly Uint8Array[], offset: number, end: number): Uint8Array {
  const range = new Uint8Array(end - offset);
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, offset - at), Math.max(0, end - at));
    if (part.length > 0) range.set(part, Math.max(0, at - offset));
    at += chunk.length;
  }
  return range;
}

async function* asBody(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
