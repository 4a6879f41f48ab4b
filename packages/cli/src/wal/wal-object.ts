import path from 'node:path';
import { decompress, decompressionOf } from '@neon-snapshot/archive';
import { majorOfWalPageMagic } from '@neon-snapshot/postgres';
import { isStorageError, parseStorageUrl, readAll, type Storage } from '@neon-snapshot/storage-core';
import { CliError } from '../cli-error.ts';
import { readRange } from '../inspect/open-target.ts';
import { openParent } from '../inspect/parent-location.ts';
import { openLocation, type Session } from '../session.ts';

/** A WAL segment, compressed or not, as a file or an object. */
export interface SegmentObject {
  readonly kind: 'segment';
  readonly storage: Storage;
  readonly key: string;
}

/** A delta layer of a Neon bucket. */
export interface LayerObject {
  readonly kind: 'layer';
  readonly storage: Storage;
  readonly key: string;
  readonly sizeBytes: number;
}

export type WalObject = SegmentObject | LayerObject;

const SEGMENT_NAME = /^[0-9A-F]{24}(?:\.partial)?(?:\.(?:gz|lz4|zst))?$/;
const DELTA_NAME = /^[0-9A-F]{36}-[0-9A-F]{36}__[0-9A-F]{16}-[0-9A-F]{16}(?:-|$)/;
/** WAL pages begin with `D1xx`, delta layers with this (DELTA_FILE_MAGIC). */
const DELTA_MAGIC = 0x5a61;
const HEAD_BYTES = 8192;
/** The largest segment that Postgres makes: 1 GiB. */
const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * The WAL at a path or URL: one segment or delta layer, or those of a directory, one level. Storages that are opened are handed to
 * `own`, whose business it is to close them.
 */
export async function findWal(
  session: Session,
  text: string,
  own: (storage: Storage) => void,
): Promise<readonly WalObject[]> {
  const location = parseStorageUrl(text, { baseDirectory: session.currentDirectory });
  const name = path.posix.basename(location.path);
  if (!text.endsWith('/') && name !== '') {
    const parent = await openParent(session, location);
    own(parent);
    const object = await openObject(parent, name, session.signal);
    if (object !== undefined) return [object];
  }
  const directory = await openLocation(session, text, { role: 'storage', access: 'read' });
  own(directory);
  return listWal(directory, { text, signal: session.signal });
}

/** The whole pages of a segment, decompressed by its extension. */
export async function readSegment(object: SegmentObject, options: ReadOptions): Promise<Uint8Array> {
  const stream = await openSegment(object, options);
  const bytes = await readAll(stream, { sizeMaxBytes: SEGMENT_BYTES_MAX, key: object.key });
  return bytes.subarray(0, bytes.length - (bytes.length % HEAD_BYTES));
}

/** The first page of a segment; shorter where the segment is. */
export async function readFirstPage(object: SegmentObject, options: ReadOptions): Promise<Uint8Array> {
  const page = new Uint8Array(HEAD_BYTES);
  let length = 0;
  for await (const chunk of await openSegment(object, options)) {
    const part = chunk.subarray(0, HEAD_BYTES - length);
    page.set(part, length);
    length += part.length;
    if (length === HEAD_BYTES) break;
  }
  return page.subarray(0, length);
}

interface ReadOptions {
  readonly signal: AbortSignal;
}

async function openSegment(
  { storage, key }: SegmentObject,
  options: ReadOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const { body } = await storage.get(key, options);
  const compression = decompressionOf(key);
  return compression === undefined ? body : decompress(body, compression, options);
}

async function openObject(
  storage: Storage,
  key: string,
  signal: AbortSignal,
): Promise<WalObject | undefined> {
  const info = await storage.head(key, { signal }).catch((error: unknown) => {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  });
  if (info === undefined) return undefined;
  if (SEGMENT_NAME.test(key)) return { kind: 'segment', storage, key };
  const { sizeBytes } = info;
  const head = await readRange({ storage, key, signal }, 0, Math.min(HEAD_BYTES, sizeBytes));
  if (head.length >= 2 && (((head[0] ?? 0) << 8) | (head[1] ?? 0)) === DELTA_MAGIC) {
    return { kind: 'layer', storage, key, sizeBytes };
  }
  const magic = (head[0] ?? 0) | ((head[1] ?? 0) << 8);
  if (majorOfWalPageMagic(magic) !== undefined) return { kind: 'segment', storage, key };
  throw noWal(`${key} is no WAL segment and no delta layer, by its name or its first bytes`, storage.url);
}

async function listWal(
  storage: Storage,
  { text, signal }: { readonly text: string; readonly signal: AbortSignal },
): Promise<readonly WalObject[]> {
  const segments: SegmentObject[] = [];
  const layers: LayerObject[] = [];
  for await (const { objects } of storage.list({ delimiter: '/', signal })) {
    for (const { key, sizeBytes } of objects) {
      if (SEGMENT_NAME.test(key)) segments.push({ kind: 'segment', storage, key });
      if (DELTA_NAME.test(key)) layers.push({ kind: 'layer', storage, key, sizeBytes });
    }
  }
  if (segments.length > 0) return segments;
  if (layers.length > 0) return layers.sort((a, b) => compareText(lsnRangeOf(a), lsnRangeOf(b)));
  throw noWal(`${text} holds no WAL segment and no delta layer`, storage.url);
}

/** The part of a delta layer's name that orders it by LSN. */
function lsnRangeOf({ key }: LayerObject): string {
  return key.slice(key.indexOf('__'));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function noWal(message: string, url: string): CliError {
  return new CliError(
    'CLI_UNKNOWN_FILE',
    'find WAL',
    `${message}; name a segment, a delta layer, or a directory of either`,
    { url },
  );
}
