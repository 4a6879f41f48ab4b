import { throwIfAborted } from './call-checks.ts';
import type { ListOptions, ListPage, ObjectInfo } from './storage.ts';
import { compareKeys } from './storage-key.ts';

export interface PageListingOptions extends ListOptions {
  readonly prefix: string;
  /** Objects and prefixes together, a page. */
  readonly pageSizeMax: number;
}

/**
 * Pages of a listing out of objects that are in key order already: filters by prefix and `startAfter` and folds at the
 * delimiter. For backends whose own list call has none of this.
 */
export async function* pageListing(
  objects: Iterable<ObjectInfo> | AsyncIterable<ObjectInfo>,
  options: PageListingOptions,
): AsyncGenerator<ListPage> {
  let page: { objects: ObjectInfo[]; prefixes: string[] } = { objects: [], prefixes: [] };
  let lastPrefix: string | undefined;
  for await (const info of objects) {
    if (!info.key.startsWith(options.prefix)) continue;
    if (options.startAfter !== undefined && compareKeys(info.key, options.startAfter) <= 0) continue;
    const folded = options.delimiter === undefined ? undefined : foldedPrefix(info.key, options.prefix);
    if (folded === undefined) page.objects.push(info);
    else if (folded !== lastPrefix) page.prefixes.push((lastPrefix = folded));
    if (page.objects.length + page.prefixes.length < options.pageSizeMax) continue;
    yield page;
    throwIfAborted(options.signal, { operation: 'list' });
    page = { objects: [], prefixes: [] };
  }
  if (page.objects.length + page.prefixes.length > 0) yield page;
}

/** `a/` for the key `a/b` under no prefix; undefined when no `/` follows the prefix. */
function foldedPrefix(key: string, prefix: string): string | undefined {
  const slash = key.indexOf('/', prefix.length);
  return slash < 0 ? undefined : key.slice(0, slash + 1);
}
