import { dirname } from 'node:path/posix';
import type { PutBody, Storage } from '@neon-snapshot/storage-core';
import { DIRECTORY_MODE, FILE_MODE, TABLESPACE_DIRECTORY } from './data-directory-layout.ts';

/** A tablespace and the storage of its directory; without a storage it lies in place. */
export interface DestinationTablespace {
  readonly oid: number;
  readonly link?: { readonly target: string; readonly storage: Storage };
}

/**
 * The tree that is being written: sends each path to the storage it belongs to, makes parents first, and remembers what it
 * made, so that `remove` leaves the destination as it was found (but for roots that did not exist: they stay, empty).
 */
export class Destination {
  readonly #root: Storage;
  readonly #tablespaces: ReadonlyMap<string, DestinationTablespace>;
  readonly #directories = new Map<string, Promise<void>>();
  readonly #files: Place[] = [];
  readonly #links: string[] = [];

  constructor(root: Storage, tablespaces: readonly DestinationTablespace[]) {
    this.#root = root;
    this.#tablespaces = new Map(tablespaces.map((tablespace) => [`${tablespace.oid}`, tablespace]));
  }

  get fileCount(): number {
    return this.#files.length;
  }

  /** Whether `putFiles` gains by being given many files. */
  get writesTogether(): boolean {
    return this.#root.fileTree?.writeFiles !== undefined;
  }

  /** The storage and key of a PGDATA-relative path. */
  placeOf(path: string): Place {
    const [top, oid = '', ...rest] = path.split('/');
    const link = top === TABLESPACE_DIRECTORY ? this.#tablespaces.get(oid)?.link : undefined;
    if (link === undefined) return { storage: this.#root, key: path };
    return { storage: link.storage, key: rest.join('/') };
  }

  /** Makes the directory and its parents, each once however many ask. `.` is the data directory itself. */
  makeDirectory(path: string): Promise<void> {
    const existing = this.#directories.get(path);
    if (existing !== undefined) return existing;
    const making = this.#makeDirectory(path);
    this.#directories.set(path, making);
    return making;
  }

  /** Makes the links of the tablespaces and their directories. */
  async makeTablespaces(): Promise<void> {
    await this.makeDirectory(TABLESPACE_DIRECTORY);
    for (const { oid, link } of this.#tablespaces.values()) {
      const path = `${TABLESPACE_DIRECTORY}/${oid}`;
      if (link === undefined) {
        await this.makeDirectory(path);
        continue;
      }
      await link.storage.fileTree?.makeDirectory('', { mode: DIRECTORY_MODE });
      this.#links.push(path);
      await this.#root.fileTree?.makeLink(path, link.target);
    }
  }

  async putFile(
    path: string,
    file: { readonly body: PutBody; readonly sizeBytes: number; readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    await this.makeDirectory(dirname(path));
    const place = this.placeOf(path);
    this.#files.push(place);
    await place.storage.put(place.key, file.body, {
      sizeBytes: file.sizeBytes,
      mode: FILE_MODE,
      deferSync: true,
      signal: file.signal,
    });
  }

  /** Puts whole small files: together where the storage can, else side by side. */
  async putFiles(
    files: readonly { readonly path: string; readonly bytes: Uint8Array }[],
    { signal }: { readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    const byStorage = Map.groupBy(files, ({ path }) => this.placeOf(path).storage);
    for (const [storage, group] of byStorage) {
      const { fileTree } = storage;
      if (fileTree?.writeFiles === undefined) {
        const put = ({ path, bytes }: { readonly path: string; readonly bytes: Uint8Array }) =>
          this.putFile(path, { body: bytes, sizeBytes: bytes.length, signal });
        for (const file of group) await put(file);
        continue;
      }
      for (const directory of new Set(group.map(({ path }) => dirname(path)))) {
        await this.makeDirectory(directory);
      }
      const places = group.map(({ path, bytes }) => ({ place: this.placeOf(path), bytes }));
      this.#files.push(...places.map(({ place }) => place));
      await fileTree.writeFiles(
        places.map(({ place, bytes }) => ({ key: place.key, bytes, mode: FILE_MODE })),
        { signal },
      );
    }
  }

  /** Makes everything that was put durable. */
  async sync(): Promise<void> {
    for (const storage of this.#storages()) await storage.fileTree?.sync();
  }

  /** Removes what was made, deepest first. */
  async remove(): Promise<void> {
    await Promise.allSettled(this.#directories.values());
    const directories = [...this.#directories.keys()]
      .filter((path) => path !== '.')
      .map((path) => this.placeOf(path))
      .filter(({ key }) => key !== '')
      .sort((a, b) => b.key.length - a.key.length);
    for (const storage of this.#storages()) {
      const keysOf = (places: readonly Place[]) =>
        places.filter((place) => place.storage === storage).map(({ key }) => key);
      await storage.delete(keysOf(this.#files));
      if (storage === this.#root) await storage.delete(this.#links);
      for (const key of keysOf(directories)) await storage.delete([`${key}/`]);
    }
  }

  async dispose(): Promise<void> {
    for (const { link } of this.#tablespaces.values()) await link?.storage[Symbol.asyncDispose]();
  }

  #storages(): Storage[] {
    return [...[...this.#tablespaces.values()].flatMap(({ link }) => link?.storage ?? []), this.#root];
  }

  async #makeDirectory(path: string): Promise<void> {
    const parent = path === '.' ? undefined : dirname(path);
    if (parent !== undefined) await this.makeDirectory(parent);
    const { storage, key } = path === '.' ? { storage: this.#root, key: '' } : this.placeOf(path);
    if (storage.fileTree !== undefined) await storage.fileTree.makeDirectory(key, { mode: DIRECTORY_MODE });
    else if (key !== '') await storage.put(`${key}/`, new Uint8Array(0));
  }
}

export interface Place {
  readonly storage: Storage;
  readonly key: string;
}
