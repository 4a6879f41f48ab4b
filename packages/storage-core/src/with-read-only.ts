import { unsupportedError } from './call-checks.ts';
import { forwardStorage } from './forward-storage.ts';
import type { FileTree, Storage } from './storage.ts';
import type { StorageError } from './storage-error.ts';

/** The same storage with every writing verb refused as `STORAGE_UNSUPPORTED` before any I/O. */
export function withReadOnly(inner: Storage): Storage {
  const refuse = async (operation: 'put' | 'delete' | 'tree', key?: string): Promise<never> => {
    throw readOnlyError(inner.url, operation, key);
  };
  const { copy: _, ...readable } = forwardStorage(inner, {
    capability: {
      ...inner.capability,
      conditionalPut: { ifNoneMatch: false, ifMatch: false },
      serverSideCopy: false,
      writable: false,
    },
    put: (key) => refuse('put', key),
    delete: (keys) => refuse('delete', keys[0]),
  });
  if (inner.fileTree === undefined) return readable;
  const { fileTree } = inner;
  const readFiles = fileTree.readFiles?.bind(fileTree);
  const readableTree: FileTree = {
    rootPath: fileTree.rootPath,
    makeDirectory: (key) => refuse('tree', key),
    makeLink: (key) => refuse('tree', key),
    sync: () => refuse('tree'),
    freeBytes: (options) => fileTree.freeBytes(options),
    ...(readFiles === undefined ? {} : { readFiles }),
  };
  return { ...readable, fileTree: readableTree };
}

function readOnlyError(
  url: string,
  operation: 'put' | 'delete' | 'tree',
  key: string | undefined,
): StorageError {
  return unsupportedError({ operation, key, url, what: 'writing: it was opened for reading only' });
}
