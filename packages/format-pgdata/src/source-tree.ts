import { resolve } from 'node:path';
import { FormatError, type FormatServices, type Tablespace } from '@neon-snapshot/format-core';
import { tablespaceVersionDirectory } from '@neon-snapshot/postgres';
import type { ObjectInfo, Storage } from '@neon-snapshot/storage-core';
import { isEmptiedDirectory, TABLESPACE_DIRECTORY, WAL_DIRECTORY } from './data-directory-layout.ts';

/** A file of the data directory and where its bytes are. */
export interface SourceFile {
  /** PGDATA-relative. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAt?: Date;
  readonly storage: Storage;
  readonly key: string;
}

/** Everything that a listing shows, linked directories included; nothing is left out yet. */
export interface SourceTree {
  readonly files: readonly SourceFile[];
  /** Those that the listing shows by themselves, i.e. empty ones on a file system. */
  readonly directories: readonly string[];
  readonly tablespaces: readonly Tablespace[];
  /** Storages opened for links, to be disposed by the owner of the tree. */
  readonly linkedStorages: readonly Storage[];
}

export interface ReadSourceTreeOptions {
  readonly storage: Storage;
  readonly services: FormatServices;
  readonly postgresMajor: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists a data directory and what its links lead to: tablespaces, and a `pg_wal` that lies elsewhere. Other links are left out
 * with a warning, as BASE_BACKUP does. A tablespace whose directory is missing is `FORMAT_NOT_FOUND`.
 */
export async function readSourceTree(options: ReadSourceTreeOptions): Promise<SourceTree> {
  const reading = new TreeReading(options);
  try {
    await reading.readRoot();
    return reading.tree();
  } catch (error) {
    await disposeAll(reading.linkedStorages);
    throw error;
  }
}

/** Disposes in reverse order of opening. */
export async function disposeAll(resources: readonly AsyncDisposable[]): Promise<void> {
  for (const resource of resources.toReversed()) await resource[Symbol.asyncDispose]();
}

const TABLESPACE_LINK = /^pg_tblspc\/([1-9]\d{0,9})$/;
const INSIDE_TABLESPACE = /^pg_tblspc\/([1-9]\d{0,9})\//;

class TreeReading {
  readonly linkedStorages: Storage[] = [];
  readonly #options: ReadSourceTreeOptions;
  readonly #files: SourceFile[] = [];
  readonly #directories: string[] = [];
  readonly #locations = new Map<number, string>();

  constructor(options: ReadSourceTreeOptions) {
    this.#options = options;
  }

  tree(): SourceTree {
    const tablespaces = [...this.#locations]
      .map(([oid, location]) => ({ oid, location }))
      .sort((a, b) => a.oid - b.oid);
    return {
      files: this.#files,
      directories: this.#directories,
      tablespaces,
      linkedStorages: this.linkedStorages,
    };
  }

  async readRoot(): Promise<void> {
    const links: [string, string][] = [];
    for await (const { objects } of this.#options.storage.list({ signal: this.#options.signal })) {
      for (const object of objects) {
        if (object.linkTarget === undefined) this.#add(object, { storage: this.#options.storage, at: '' });
        else links.push([object.key, object.linkTarget]);
      }
    }
    for (const [path, target] of links) await this.#readLink(path, target);
  }

  async #readLink(path: string, target: string): Promise<void> {
    if (isEmptiedDirectory(path)) {
      this.#directories.push(path);
      return;
    }
    const oid = TABLESPACE_LINK.exec(path)?.[1];
    if (oid === undefined && path !== WAL_DIRECTORY) {
      this.#options.services.warn(`left out ${path}: it is a symbolic link to ${target}`);
      return;
    }
    const location = resolve(this.#options.storage.fileTree?.rootPath ?? '/', path, '..', target);
    const prefix = oid === undefined ? '' : `${tablespaceVersionDirectory(this.#options.postgresMajor)}/`;
    if (oid !== undefined) this.#locations.set(Number(oid), location);
    if (!(await this.#mount({ at: path, location, prefix }))) {
      throw new FormatError({
        code: 'FORMAT_NOT_FOUND',
        operation: 'read tablespace',
        message: `${path} links to ${location}, which has no ${prefix === '' ? 'files' : prefix}; the data directory is incomplete`,
        context: { path, location },
      });
    }
  }

  /** Reads a directory as if it lay at `at`; false when there is nothing under its prefix. */
  async #mount(mount: {
    readonly at: string;
    readonly location: string;
    readonly prefix: string;
  }): Promise<boolean> {
    const { services, signal } = this.#options;
    const storage = await this.#open(mount, services);
    let found = false;
    for await (const { objects } of storage.list({ prefix: mount.prefix, signal })) {
      for (const object of objects) {
        found = true;
        if (object.linkTarget === undefined) this.#add(object, { storage, at: `${mount.at}/` });
        else
          services.warn(`left out ${mount.at}/${object.key}: it is a symbolic link to ${object.linkTarget}`);
      }
    }
    return found;
  }

  async #open(
    mount: { readonly at: string; readonly location: string },
    services: FormatServices,
  ): Promise<Storage> {
    try {
      const storage = await services.openStorage(mount.location, { access: 'read' });
      this.linkedStorages.push(storage);
      return storage;
    } catch (error) {
      throw new FormatError({
        code: 'FORMAT_NOT_FOUND',
        operation: 'open link',
        message: `${mount.at} links to ${mount.location}, which can't be opened`,
        context: { path: mount.at, location: mount.location },
        cause: error,
      });
    }
  }

  #add(object: ObjectInfo, place: { readonly storage: Storage; readonly at: string }): void {
    const path = `${place.at}${object.key}`;
    const inPlaceOid = place.at === '' ? INSIDE_TABLESPACE.exec(path)?.[1] : undefined;
    if (inPlaceOid !== undefined) {
      this.#locations.set(Number(inPlaceOid), `${TABLESPACE_DIRECTORY}/${inPlaceOid}`);
    }
    if (path.endsWith('/')) {
      this.#directories.push(path.slice(0, -1));
      return;
    }
    const { sizeBytes, modifiedAt } = object;
    this.#files.push({
      path,
      sizeBytes,
      ...(modifiedAt === undefined ? {} : { modifiedAt }),
      storage: place.storage,
      key: object.key,
    });
  }
}
