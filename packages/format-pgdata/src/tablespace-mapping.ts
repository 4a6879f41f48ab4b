import { isAbsolute, resolve } from 'node:path';
import { FormatError, listOption, type Tablespace, type WriteContext } from '@neon-snapshot/format-core';
import { TABLESPACE_DIRECTORY } from './data-directory-layout.ts';

/** Where a tablespace will lie: a directory of its own behind a link, or `pg_tblspc/OID` itself. */
export interface TablespaceTarget {
  readonly oid: number;
  /** Absolute path that the link points to; undefined for an in-place tablespace. */
  readonly linkTarget: string | undefined;
}

/**
 * Decides where tablespaces go: to the directory of the option `tablespace_mapping`, else to where they were; in place in a
 * storage without links. `FORMAT_OPTION` for a mapping that is malformed, matches no tablespace, or sends two to one place.
 */
export function mapTablespaces(context: WriteContext): readonly TablespaceTarget[] {
  const mapping = parseMapping(listOption(context.options, 'tablespace_mapping'));
  const { tablespaces } = context.source.info;
  if (context.storage.fileTree === undefined) {
    if (mapping.size > 0) {
      throw optionError(`${context.storage.url} can't hold links; leave the mapping out`);
    }
    return tablespaces.map(({ oid }) => ({ oid, linkTarget: undefined }));
  }
  for (const old of mapping.keys()) {
    if (tablespaces.some(({ location }) => location === old)) continue;
    const known = tablespaces.map(({ location }) => location).join(', ') || 'none';
    throw optionError(`no tablespace is at ${old}; the snapshot has: ${known}`);
  }
  const targets = tablespaces.map((tablespace) => ({
    oid: tablespace.oid,
    linkTarget: linkTargetOf(tablespace, mapping),
  }));
  assertApart(targets, context.storage.fileTree.rootPath);
  return targets;
}

function linkTargetOf(tablespace: Tablespace, mapping: ReadonlyMap<string, string>): string | undefined {
  const { oid, location } = tablespace;
  const mapped = mapping.get(location);
  if (mapped !== undefined) return mapped;
  return location === `${TABLESPACE_DIRECTORY}/${oid}` ? undefined : location;
}

/** `OLD=NEW` as pg_basebackup takes it: a `=` inside a path is written `\=`. */
function parseMapping(list: readonly string[]): ReadonlyMap<string, string> {
  const mapping = new Map<string, string>();
  for (const text of list) {
    const parts = text.split(/(?<!\\)=/).map((part) => part.replaceAll('\\=', '='));
    const [old, target] = parts;
    if (parts.length !== 2 || old === undefined || target === undefined) {
      throw optionError(`${JSON.stringify(text)} is not OLD=NEW`);
    }
    if (!isAbsolute(target)) throw optionError(`${JSON.stringify(target)} is not an absolute path`);
    if (mapping.has(old)) throw optionError(`${JSON.stringify(old)} is mapped twice`);
    mapping.set(old, resolve(target));
  }
  return mapping;
}

function assertApart(targets: readonly TablespaceTarget[], rootPath: string): void {
  const seen = new Set<string>();
  for (const { oid, linkTarget } of targets) {
    if (linkTarget === undefined) continue;
    if (!isAbsolute(linkTarget))
      throw optionError(`tablespace ${oid} was at ${linkTarget}: map it to a directory`);
    if (seen.has(linkTarget)) throw optionError(`two tablespaces would lie in ${linkTarget}`);
    if (`${linkTarget}/`.startsWith(`${rootPath}/`)) {
      throw optionError(`${linkTarget} lies inside the data directory ${rootPath}`);
    }
    seen.add(linkTarget);
  }
}

function optionError(what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'map tablespaces',
    message: `tablespace_mapping: ${what}`,
  });
}
