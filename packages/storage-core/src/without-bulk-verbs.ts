import type { FileTree, Storage } from './storage.ts';

/**
 * The file tree of a storage without the verbs that carry bytes (`readFiles`, `writeFiles`), for decorators that watch the
 * bytes of `get` and `put`. To be spread into the decorated storage.
 */
export function withoutBulkVerbs({ fileTree }: Storage): { readonly fileTree?: FileTree } {
  if (fileTree === undefined) return {};
  return {
    fileTree: {
      rootPath: fileTree.rootPath,
      makeDirectory: (key, options) => fileTree.makeDirectory(key, options),
      makeLink: (key, target, options) => fileTree.makeLink(key, target, options),
      sync: (options) => fileTree.sync(options),
      freeBytes: (options) => fileTree.freeBytes(options),
    },
  };
}
