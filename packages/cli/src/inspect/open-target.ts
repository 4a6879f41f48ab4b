import path from 'node:path';
import { parseStorageUrl, readAll, type Storage } from '@neon-snapshot/storage-core';
import { usageError } from '../cli-error.ts';
import type { Session } from '../session.ts';
import { HEAD_BYTES, type InspectTarget } from './inspection.ts';
import { openParent } from './parent-location.ts';

export interface OpenTarget {
  readonly target: InspectTarget;
  readonly storage: Storage;
}

const LIMIT_DEFAULT = 20;

/** Opens the place that holds the object and reads its first bytes. The caller disposes the storage. */
export async function openTarget(session: Session, text: string): Promise<OpenTarget> {
  const location = parseStorageUrl(text, { baseDirectory: session.currentDirectory });
  const key = path.posix.basename(location.path);
  if (key === '') throw usageError(`${text} names no object; give the path of one file`);
  const storage = await openParent(session, location);
  try {
    const { signal } = session;
    const { sizeBytes } = await storage.head(key, { signal });
    const head = await readRange({ storage, key, signal }, 0, Math.min(HEAD_BYTES, sizeBytes));
    const block = session.args.integer('block') ?? 0;
    const limit = session.args.integer('limit') ?? LIMIT_DEFAULT;
    return { storage, target: { storage, key, path: location.path, sizeBytes, head, block, limit, signal } };
  } catch (error) {
    await storage[Symbol.asyncDispose]();
    throw error;
  }
}

/** Bytes `[offset, offset + length)`, which must lie inside the object. */
export async function readRange(
  target: Pick<InspectTarget, 'storage' | 'key' | 'signal'>,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array();
  const { storage, key, signal } = target;
  const { body } = await storage.get(key, { range: { offset, length }, signal });
  return readAll(body, { sizeMaxBytes: length, key });
}

/** The whole object; one larger than the bound is `STORAGE_TOO_LARGE`. */
export async function readWhole(target: InspectTarget, sizeMaxBytes: number): Promise<Uint8Array> {
  const { storage, key, signal } = target;
  const { body } = await storage.get(key, { signal });
  return readAll(body, { sizeMaxBytes, key });
}
