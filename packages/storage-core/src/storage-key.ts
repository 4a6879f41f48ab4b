import { StorageError, type StorageOperation } from './storage-error.ts';

const DELETE_CHARACTER = 0x7f;
const FIRST_PRINTABLE = 0x20;
const FIRST_SURROGATE = 0xd800;
const FIRST_AFTER_SURROGATES = 0xe000;

export interface KeyCheck {
  readonly operation: StorageOperation;
  /** Longest key in UTF-8 bytes, from the backend's capability. */
  readonly keyLengthMaxBytes?: number;
}

/**
 * Refuses what is no key of the storage port: an empty one, a leading `/`, an empty, `.` or `..` segment, control
 * characters (the XML listings of S3 cannot carry them), lone surrogates, and more bytes than the backend takes.
 * One trailing `/` is allowed: a directory marker. Throws `STORAGE_INVALID_KEY`.
 */
export function assertValidKey(key: string, check: KeyCheck): void {
  const segments = key.split('/');
  const isMarker = segments.length > 1 && segments.at(-1) === '';
  const reason =
    (key === '' ? 'it is empty' : undefined) ??
    textFault(key) ??
    segmentFault(isMarker ? segments.slice(0, -1) : segments) ??
    lengthFault(key, check.keyLengthMaxBytes);
  if (reason !== undefined) throw invalidKey(key, reason, check.operation);
}

/** Refuses a list prefix that no key can start with. The last segment may be any part of a name. */
export function assertValidPrefix(prefix: string): void {
  const reason = textFault(prefix) ?? segmentFault(prefix.split('/').slice(0, -1));
  if (reason !== undefined) throw invalidKey(prefix, reason, 'list');
}

/** Byte order of two keys in UTF-8, which differs from JavaScript's order for characters beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  const lengthMin = Math.min(a.length, b.length);
  for (let index = 0; index < lengthMin; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return utf8Rank(left) - utf8Rank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others, so they rank above U+E000–U+FFFF. */
function utf8Rank(codeUnit: number): number {
  if (codeUnit < FIRST_SURROGATE) return codeUnit;
  return codeUnit < FIRST_AFTER_SURROGATES ? codeUnit + 0x10000 : codeUnit;
}

function textFault(text: string): string | undefined {
  if (!text.isWellFormed()) return 'it holds a lone surrogate, which has no UTF-8 form';
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < FIRST_PRINTABLE || code === DELETE_CHARACTER) {
      return `it holds the control character U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    }
  }
  return undefined;
}

function segmentFault(segments: readonly string[]): string | undefined {
  for (const segment of segments) {
    if (segment === '') return 'it has an empty segment; keys have single slashes and no leading one';
    if (segment === '.' || segment === '..') return `it has the segment "${segment}"`;
  }
  return undefined;
}

function lengthFault(key: string, keyLengthMaxBytes: number | undefined): string | undefined {
  if (keyLengthMaxBytes === undefined || key.length * 3 <= keyLengthMaxBytes) return undefined;
  const lengthBytes = Buffer.byteLength(key);
  if (lengthBytes <= keyLengthMaxBytes) return undefined;
  return `it has ${lengthBytes} bytes, at most ${keyLengthMaxBytes} are allowed here`;
}

function invalidKey(key: string, reason: string, operation: StorageOperation): StorageError {
  const shown = key.length > 200 ? `${key.slice(0, 200)}…` : key;
  return new StorageError({
    code: 'STORAGE_INVALID_KEY',
    operation,
    message: `${JSON.stringify(shown)} is not a valid key: ${reason}`,
    key,
  });
}
