import path from 'node:path';
import { isStorageError, parseStorageUrl, type Storage } from '@neon-snapshot/storage-core';
import { usageError } from '../cli-error.ts';
import { type OpenRequest, openLocation, type Session } from '../session.ts';

/** An object named by a URL: the place that holds it, and its key there. */
export interface NamedObject extends AsyncDisposable {
  readonly storage: Storage;
  readonly key: string;
}

/** Splits the URL of an object at its last segment and opens the place. Throws a usage error where it names none. */
export async function openNamedObject(
  session: Session,
  text: string,
  request: OpenRequest,
): Promise<NamedObject> {
  const { url, path: location } = parseStorageUrl(text, { baseDirectory: session.currentDirectory });
  const key = path.posix.basename(location);
  if (key === '') throw usageError(`${text} names no object; give the URL of one`);
  const [base = '', query] = url.split('?', 2);
  const parent = base.slice(0, base.lastIndexOf('/'));
  const place = `${parent === 'file://' ? 'file:///' : parent}${query === undefined ? '' : `?${query}`}`;
  const storage = await openLocation(session, place, request);
  return { storage, key, [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose]() };
}

/** Bytes of an object, or undefined where there is none. */
export async function sizeOf(session: Session, { storage, key }: NamedObject): Promise<number | undefined> {
  try {
    return (await storage.head(key, { signal: session.signal })).sizeBytes;
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}
