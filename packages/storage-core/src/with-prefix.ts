import { forwardStorage } from './forward-storage.ts';
import type { FileTree, ListPage, Storage } from './storage.ts';
import { isStorageError, StorageError } from './storage-error.ts';
import { assertValidKey } from './storage-key.ts';

/** The part of a storage under one prefix, as a storage of its own: keys, listings and errors are relative to it. */
export function withPrefix(inner: Storage, options: { readonly prefix: string }): Storage {
  const prefix = options.prefix.replace(/\/$/, '');
  assertValidKey(prefix, { operation: 'open' });
  const place = new PrefixedPlace(`${prefix}/`);
  const { keyLengthMaxBytes } = inner.capability;
  const innerCopy = inner.copy?.bind(inner);
  return forwardStorage(inner, {
    url: `${inner.url.replace(/\/$/, '')}/${prefix}`,
    capability: {
      ...inner.capability,
      keyLengthMaxBytes: Math.max(0, keyLengthMaxBytes - Buffer.byteLength(place.prefix)),
    },
    head: (key, callOptions) =>
      place.call('head', key, async (full) => ({ ...(await inner.head(full, callOptions)), key })),
    get: (key, getOptions) =>
      place.call('get', key, async (full) => {
        const { info, body } = await inner.get(full, getOptions);
        return { info: { ...info, key }, body };
      }),
    put: (key, body, putOptions) => place.call('put', key, (full) => inner.put(full, body, putOptions)),
    delete: async (keys, callOptions) => {
      for (const key of keys) assertValidKey(key, { operation: 'delete' });
      await place.translate(() =>
        inner.delete(
          keys.map((key) => place.prefix + key),
          callOptions,
        ),
      );
    },
    async *list(listOptions = {}) {
      const { startAfter } = listOptions;
      const pages = inner.list({
        ...listOptions,
        prefix: place.prefix + (listOptions.prefix ?? ''),
        ...(startAfter === undefined ? {} : { startAfter: place.prefix + startAfter }),
      });
      for await (const page of pages) yield place.strip(page);
    },
    ...(innerCopy === undefined
      ? {}
      : {
          copy: (from, to, callOptions) =>
            place.call('copy', from, (full) => {
              assertValidKey(to, { operation: 'copy' });
              return innerCopy(full, place.prefix + to, callOptions);
            }),
        }),
    ...(inner.fileTree === undefined ? {} : { fileTree: prefixFileTree(inner.fileTree, place) }),
  });
}

class PrefixedPlace {
  /** With its trailing `/`. */
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  async call<Result>(
    operation: 'head' | 'get' | 'put' | 'copy' | 'tree',
    key: string,
    run: (fullKey: string) => Promise<Result>,
  ): Promise<Result> {
    assertValidKey(key, { operation });
    return this.translate(() => run(this.prefix + key));
  }

  /** Errors name the key that the caller used. */
  async translate<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run();
    } catch (error) {
      if (!isStorageError(error) || !error.key?.startsWith(this.prefix)) throw error;
      const { code, operation, message, retryable, context, cause } = error;
      const key = error.key.slice(this.prefix.length);
      throw new StorageError({ code, operation, message, retryable, context, cause: cause ?? error, key });
    }
  }

  /** A marker of the prefix itself is not inside it. */
  strip(page: ListPage): ListPage {
    return {
      objects: page.objects
        .filter((info) => info.key !== this.prefix)
        .map((info) => ({ ...info, key: info.key.slice(this.prefix.length) })),
      prefixes: page.prefixes.map((each) => each.slice(this.prefix.length)),
    };
  }
}

function prefixFileTree(inner: FileTree, place: PrefixedPlace): FileTree {
  const prefix = place.prefix.slice(0, -1);
  return {
    rootPath: `${inner.rootPath.replace(/\/$/, '')}/${prefix}`,
    makeDirectory: (key, options) =>
      key === ''
        ? inner.makeDirectory(prefix, options)
        : place.call('tree', key, (full) => inner.makeDirectory(full, options)),
    makeLink: (key, target, options) =>
      place.call('tree', key, (full) => inner.makeLink(full, target, options)),
    sync: (options) => inner.sync(options),
    freeBytes: (options) => inner.freeBytes(options),
    ...prefixBulkVerbs(inner, place),
  };
}

function prefixBulkVerbs(inner: FileTree, place: PrefixedPlace): Pick<FileTree, 'writeFiles' | 'readFiles'> {
  const writeFiles = inner.writeFiles?.bind(inner);
  const readFiles = inner.readFiles?.bind(inner);
  const full = <File extends { readonly key: string }>(files: readonly File[]): File[] =>
    files.map((file) => {
      assertValidKey(file.key, { operation: 'tree' });
      return { ...file, key: place.prefix + file.key };
    });
  return {
    ...(writeFiles === undefined
      ? {}
      : { writeFiles: (files, options) => place.translate(() => writeFiles(full(files), options)) }),
    ...(readFiles === undefined
      ? {}
      : { readFiles: (files, options) => place.translate(() => readFiles(full(files), options)) }),
  };
}
