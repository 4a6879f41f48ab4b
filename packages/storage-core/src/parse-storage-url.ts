import { resolve } from 'node:path';
import type { StorageLocation } from './location.ts';
import { createRedactor } from './redaction.ts';
import { StorageError } from './storage-error.ts';
import { authorityFault } from './url-authority.ts';

/** Other tools' names of our schemes. */
const SCHEME_ALIASES: Readonly<Record<string, string>> = {
  gcs: 'gs',
  az: 'azure',
  abs: 'azure',
  sftp: 'ssh',
};
const KNOWN_SCHEMES = ['file', 's3', 'gs', 'azure', 'ssh', 'swift', ...Object.keys(SCHEME_ALIASES)];
const SECRET_OPTION =
  /secret|password|passphrase|token|credential|(^|_)access_key(_id)?$|private_key$|(^|_)sas$/;
const redact = createRedactor([]);

export interface ParseStorageUrlOptions {
  /** What a relative bare path is relative to; default the working directory. */
  readonly baseDirectory?: string;
}

/**
 * A storage URL or a bare path as a location. Throws `STORAGE_INVALID_URL` with a hint.
 *
 * `s3://bucket/prefix?region=…`, `gs://`, `azure://`, `swift://`, `ssh://user@host:port/path`, `file:///abs/path`, a bare
 * path, or `scheme://authority/path` of a backend that somebody else wrote. In a URL the path is percent-decoded, in a
 * bare path nothing is. A password or a secret option is refused: those come from the environment.
 */
export function parseStorageUrl(text: string, options: ParseStorageUrlOptions = {}): StorageLocation {
  if (text.trim() === '') throw invalidUrl(text, 'it is empty');
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(.*)$/s.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return parseBarePath(text, options);
  const lower = match[1].toLowerCase();
  const scheme = SCHEME_ALIASES[lower] ?? lower;
  const { authority, path, query } = splitRest(text, match[2]);
  const parsedOptions = parseOptions(text, query);
  if (scheme === 'file') return parseFileUrl({ text, authority, path, options: parsedOptions });

  const fault = authorityFault(scheme, authority);
  if (fault !== undefined) throw invalidUrl(text, fault);
  const cleanPath = path.replace(/^\/|\/$/g, '');
  const badSegment = cleanPath === '' ? undefined : cleanPath.split('/').find(isBadSegment);
  if (badSegment !== undefined) {
    throw invalidUrl(
      text,
      `its path has ${badSegment === '' ? 'an empty segment' : `the segment "${badSegment}"`}`,
    );
  }
  return location({ scheme, authority, path: cleanPath, options: parsedOptions });
}

function parseBarePath(text: string, options: ParseStorageUrlOptions): StorageLocation {
  const short = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(text);
  const scheme = short?.[1]?.toLowerCase();
  if (scheme === 'file' && short?.[2]?.startsWith('/')) return parseStorageUrl(`file://${short[2]}`, options);
  if (scheme !== undefined && KNOWN_SCHEMES.includes(scheme)) {
    throw invalidUrl(
      text,
      `"${scheme}:" is followed by two slashes: ${scheme}://${short?.[2]?.replace(/^\/+/, '')}`,
    );
  }
  if (text === '~' || text.startsWith('~/')) {
    throw invalidUrl(text, '"~" is the shell\'s and was not expanded here; write $HOME or an absolute path');
  }
  if (text.includes('\0')) throw invalidUrl(text, 'it holds a NUL character');
  const path = resolve(options.baseDirectory ?? process.cwd(), text);
  return location({ scheme: 'file', authority: '', path, options: new Map() });
}

function parseFileUrl(parts: {
  readonly text: string;
  readonly authority: string;
  readonly path: string;
  readonly options: ReadonlyMap<string, string>;
}): StorageLocation {
  if (parts.authority !== '' && parts.authority !== 'localhost') {
    throw invalidUrl(
      parts.text,
      `"${parts.authority}" stands where a host would; an absolute path needs three slashes (file:///…), a relative one is written bare`,
    );
  }
  if (!parts.path.startsWith('/')) throw invalidUrl(parts.text, 'it has no path');
  if (parts.path.includes('\0')) throw invalidUrl(parts.text, 'it holds a NUL character');
  return location({ scheme: 'file', authority: '', path: resolve(parts.path), options: parts.options });
}

function splitRest(text: string, rest: string): { authority: string; path: string; query: string } {
  const queryStart = rest.indexOf('?');
  const beforeQuery = queryStart < 0 ? rest : rest.slice(0, queryStart);
  if (rest.includes('#')) throw invalidUrl(text, '"#" must be written %23');
  const slash = beforeQuery.indexOf('/');
  return {
    authority: slash < 0 ? beforeQuery : beforeQuery.slice(0, slash),
    path: slash < 0 ? '' : decode(text, beforeQuery.slice(slash)),
    query: queryStart < 0 ? '' : rest.slice(queryStart + 1),
  };
}

function parseOptions(text: string, query: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 1) throw invalidUrl(text, `its option "${pair}" is not name=value`);
    const name = decode(text, pair.slice(0, equals)).toLowerCase().replaceAll('-', '_');
    if (SECRET_OPTION.test(name)) {
      throw invalidUrl(
        text,
        `"${name}" is a secret and may not stand in a URL; set it in the environment`,
        true,
      );
    }
    if (options.has(name)) throw invalidUrl(text, `its option "${name}" is given twice`);
    options.set(name, decode(text, pair.slice(equals + 1)));
  }
  return options;
}

function decode(text: string, encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw invalidUrl(text, 'a "%" in it does not start a valid escape; write it %25');
  }
}

function isBadSegment(segment: string): boolean {
  return segment === '' || segment === '.' || segment === '..' || segment.includes('\0');
}

function location(parts: Omit<StorageLocation, 'url'>): StorageLocation {
  const path = encodeURI(parts.path).replace(/[?#]/g, encodeURIComponent);
  const query = [...parts.options].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const slash = parts.scheme === 'file' || path === '' ? '' : '/';
  const url = `${parts.scheme}://${parts.authority}${slash}${path}${query === '' ? '' : `?${query}`}`;
  return { ...parts, url };
}

function invalidUrl(text: string, reason: string, hideQuery = false): StorageError {
  const shown = redact(hideQuery ? text.replace(/\?.*$/s, '?…') : text);
  return new StorageError({
    code: 'STORAGE_INVALID_URL',
    operation: 'open',
    message: `${JSON.stringify(shown)} is not a storage URL: ${reason}`,
    context: { url: shown },
  });
}
